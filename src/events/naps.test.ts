import { describe, expect, it } from 'vitest';
import { createNaps } from './naps.ts';

/** Whether a nap of a minute has ended by the next turn of the loop. */
async function ends(nap: Promise<void>): Promise<boolean> {
  let hasEnded = false;
  void nap.then(() => {
    hasEnded = true;
  });
  await new Promise(setImmediate);
  return hasEnded;
}

describe('naps', () => {
  it('end by themselves', async () => {
    await createNaps().nap(1, 'deep');
  });

  it('end when woken, if they are light', async () => {
    const naps = createNaps();
    const nap = naps.nap(60_000, 'light');
    naps.wake();
    expect(await ends(nap)).toBe(true);
    expect(naps.isWoken).toBe(true);
    expect(await ends(naps.nap(60_000, 'light'))).toBe(true);
    naps.forget();
    expect(await ends(naps.nap(60_000, 'light'))).toBe(false);
  });

  it('go on when woken, if they are deep, but end when roused', async () => {
    const naps = createNaps();
    const nap = naps.nap(60_000, 'deep');
    naps.wake();
    expect(await ends(nap)).toBe(false);
    naps.rouse();
    expect(await ends(nap)).toBe(true);
    expect(await ends(naps.nap(60_000, 'deep'))).toBe(false);
  });

  it('do not begin when roused before, once', async () => {
    const naps = createNaps();
    naps.rouse();
    expect(await ends(naps.nap(60_000, 'deep'))).toBe(true);
    expect(await ends(naps.nap(60_000, 'deep'))).toBe(false);
  });
});
