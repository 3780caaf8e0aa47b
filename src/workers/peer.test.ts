import { describe, expect, it } from 'vitest';
import { createPeer } from './peer.ts';
import { createTestChannels } from './test-channel.ts';

function connect() {
  const [near, far] = createTestChannels();
  return { near, far, asker: createPeer(near), answerer: createPeer(far) };
}

describe('a peer', () => {
  it('answers what is known at once and what is not, each question its own', async () => {
    const { asker, answerer } = connect();
    answerer.handle('double', (input) => 2 * Number(input));
    answerer.handle('later', async (input) => ({ input }));
    const answers = [
      asker.ask('double', 1, 1000),
      asker.ask('later', 'x', 1000),
      asker.ask('double', 2, 1000),
    ];
    expect(await Promise.all(answers)).toEqual([2, { input: 'x' }, 4]);
  });

  it('sends what is asked in one turn in one message, and so the answers', async () => {
    const { near, far, asker, answerer } = connect();
    answerer.handle('same', (input) => input);
    const inputs = Array.from({ length: 50 }, (_, index) => index);
    expect(await Promise.all(inputs.map((input) => asker.ask('same', input, 1000)))).toEqual(inputs);
    expect([near.sent.length, far.sent.length]).toEqual([1, 1]);
  });

  it('is asked from both ends', async () => {
    const { asker, answerer } = connect();
    asker.handle('name', () => 'near');
    answerer.handle('name', () => 'far');
    expect(await Promise.all([asker.ask('name', null, 1000), answerer.ask('name', null, 1000)])).toEqual([
      'far',
      'near',
    ]);
  });

  it('tells the message of what a handler threw, and of a name that nobody answers', async () => {
    const { asker, answerer } = connect();
    answerer.handle('throws', () => {
      throw new Error('no such luck');
    });
    answerer.handle('rejects', () => Promise.reject(new Error('nor so')));
    await expect(asker.ask('throws', null, 1000)).rejects.toThrow('no such luck');
    await expect(asker.ask('rejects', null, 1000)).rejects.toThrow('nor so');
    await expect(asker.ask('constructor', null, 1000)).rejects.toThrow('nobody answers constructor');
  });

  it('gives up after its time, and when the other is gone', async () => {
    const { asker, answerer, far } = connect();
    let answer: (value: unknown) => void = () => {};
    answerer.handle(
      'never',
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    await expect(asker.ask('never', null, 20)).rejects.toThrow('no answer to never in time');
    answer('late');
    const waiting = asker.ask('never', null, 60_000);
    far.close();
    await expect(waiting).rejects.toThrow('gone');
    await expect(asker.ask('never', null, 60_000)).rejects.toThrow('gone');
  });

  it('has no more than so many questions wait', async () => {
    const { asker, far } = connect();
    const asked = Array.from({ length: 10_001 }, () => asker.ask('x', null, 60_000).catch(String));
    expect(await asked.at(-1)).toContain('stuck');
    far.close();
    await Promise.all(asked);
  });
});
