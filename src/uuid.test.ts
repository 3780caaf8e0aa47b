import { describe, expect, it } from 'vitest';
import { lowestUuidV7, parsePathUuid, parseUuid, uuidV7 } from './uuid.ts';

const canonical = '0f8fad5b-d9cb-469f-a165-70867728950e';
const bare = canonical.replaceAll('-', '');

describe('parseUuid', () => {
  it.each([
    canonical,
    canonical.toUpperCase(),
    bare,
    bare.toUpperCase(),
    `{${canonical}}`,
    `urn:uuid:${canonical}`,
  ])('reads %s', (text) => expect(parseUuid(text)).toBe(canonical));

  it.each([
    '',
    'x',
    `${canonical}0`,
    ` ${canonical}`,
    `{${canonical}`,
    canonical.replace('-', ''),
    canonical.replace('0', 'g'),
    1,
    null,
    undefined,
    [canonical],
  ])('refuses %s', (value) => expect(parseUuid(value)).toBeUndefined());
});

describe('parsePathUuid', () => {
  it('reads any case, with or without hyphens, and nothing more', () => {
    expect([canonical.toUpperCase(), bare].map(parsePathUuid)).toEqual([canonical, canonical]);
    expect([`{${canonical}}`, `urn:uuid:${canonical}`].map(parsePathUuid)).toEqual([undefined, undefined]);
  });
});

describe('uuidV7', () => {
  // The example of RFC 9562, appendix A.6.
  const time = Date.UTC(2022, 1, 22, 19, 22, 22);

  it('has the time, the version and the variant in their places', () => {
    expect(uuidV7(time)).toMatch(/^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('sorts by time, and within a millisecond in the order of making', () => {
    const ids = [time - 1, ...Array.from({ length: 50_000 }, () => time), time + 1].map(uuidV7);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('repeats nothing for a time that comes again', () => {
    const ids = Array.from({ length: 1000 }, (_, index) => uuidV7(time + (index % 2)));
    expect(new Set(ids).size).toBe(1000);
  });

  it('keeps its shape for times that it has no room for', () => {
    for (const odd of [-1, 0.5, 2 ** 48, Infinity, -Infinity]) {
      expect(parseUuid(uuidV7(odd))).toMatch(/^(?:00000000-0000|ffffffff-ffff)-7/);
    }
  });

  it('has a lowest value for each millisecond', () => {
    const lowest = lowestUuidV7(time);
    expect(lowest).toBe('017f22e2-79b0-7000-8000-000000000000');
    expect(uuidV7(time - 1) < lowest).toBe(true);
    expect(uuidV7(time) >= lowest).toBe(true);
  });
});
