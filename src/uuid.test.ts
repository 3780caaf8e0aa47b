import { describe, expect, it } from 'vitest';
import { parsePathUuid, parseUuid } from './uuid.ts';

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
