import { describe, expect, it } from 'vitest';
import { fillTemplate, parseTemplate, parseUrlTemplate, placeholdersOf, templateNames } from './template.ts';

const names = new Set(['a', 'b c', '__proto__']);
const show = (template: ReturnType<typeof parseTemplate>) =>
  template.map((part) => (typeof part === 'string' ? part : `<${part.name}>`)).join('|');

describe('parseTemplate', () => {
  it.each([
    ['', ''],
    ['plain', 'plain'],
    ['{a}', '<a>'],
    ['x{a}y{b c}z', 'x|<a>|y|<b c>|z'],
    ['{a}{a}', '<a>|<a>'],
    ['{z} {} {A} { a } {constructor}', '{z} {} {A} { a } {constructor}'],
    ['{__proto__}', '<__proto__>'],
    ['{{a}}', '{a}'],
    ['{{{a}}}', '{|<a>|}'],
    ['{{{{a}}}}', '{{a}}'],
    ['{{z}} {{ }}', '{z} { }'],
    ['{a', '{a'],
    ['a}', 'a}'],
    ['{a}}', '<a>|}'],
    ['{x{a}', '{x|<a>'],
    ['{"a":{"b":1}}', '{"a":{"b":1}}'],
  ])('%s is %s', (text, expected) => {
    expect(show(parseTemplate(text, names))).toBe(expected);
  });

  it('takes time in proportion to the text', () => {
    const start = performance.now();
    for (const text of ['{', '{{a', '{a', '}', '{a}']) parseTemplate(text.repeat(100_000), names);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('parseUrlTemplate', () => {
  it.each([
    ['/{{z}}', '/{{z}}'],
    ['/{z}}}', '/{z}}}'],
    ['/{{z}}/{a}', '/{z}/|<a>'],
    ['/{{a}}', '/{a}'],
  ])('%s is %s', (text, expected) => {
    expect(show(parseUrlTemplate(text, names))).toBe(expected);
  });
});

describe('templates', () => {
  it('know the parameters at the top level and the hidden ones, own keys alone', () => {
    const parameters = JSON.parse(
      '{"properties":{"a":{"properties":{"deep":{}}},"__proto__":{}},"patternProperties":{"p":{}}}',
    ) as object;
    expect([...templateNames({ parameters, hidden: { h: {} } })]).toEqual(['a', '__proto__', 'h']);
    for (const odd of [undefined, null, [], 'x', { properties: ['a'] }, { properties: null }]) {
      expect([...templateNames({ parameters: odd })]).toEqual([]);
    }
  });

  it('are filled whole, or not at all', () => {
    const template = parseTemplate('x{a}-{b c}', names);
    expect(placeholdersOf(template)).toEqual(['a', 'b c']);
    expect(fillTemplate(template, (name) => `{${name}}`)).toBe('x{a}-{b c}');
    expect(fillTemplate(template, (name) => (name === 'a' ? '' : undefined))).toBeUndefined();
  });
});
