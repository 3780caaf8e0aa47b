import { describe, expect, it } from 'vitest';
import { parseTraceContext } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const VALID = `00-${TRACE}-${SPAN}-01`;

describe('parseTraceContext', () => {
  it.each([
    ['sampled', VALID],
    ['not sampled', `00-${TRACE}-${SPAN}-00`],
    ['flags that this version does not know', `00-${TRACE}-${SPAN}-ff`],
  ])('takes a valid traceparent as it is: %s', (_, traceparent) => {
    expect(parseTraceContext({ traceparent })).toEqual({ traceparent });
  });

  it.each([
    ['none', undefined],
    ['nothing in it', ''],
    ['several in a list', [VALID, VALID]],
    ['several in one, as Node joins them', `${VALID}, ${VALID}`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a parent id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', VALID.toUpperCase()],
    ['upper case in the flags alone', `00-${TRACE}-${SPAN}-0A`],
    ['no hexadecimal', `00-${TRACE.replace('4', 'g')}-${SPAN}-01`],
    ['too short', VALID.slice(0, -1)],
    ['a longer trace id', `00-${TRACE}0-${SPAN}-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['more than version 00 has', `${VALID}-extra`],
    ['more than version 00 has, without a dash', `${VALID}0`],
    ['a dash at the end of version 00', `${VALID}-`],
    ['the version that is forbidden', `ff-${TRACE}-${SPAN}-01`],
    ['a version of one digit', `0-${TRACE}-${SPAN}-01`],
    ['a later version with more, but no dash before it', `cc-${TRACE}-${SPAN}-01x`],
    ['a later version without an end', `cc-${TRACE}-${SPAN}-01-${'x'.repeat(500)}`],
    ['spaces around it', ` ${VALID} `],
    ['a line break at the end', `${VALID}\n`],
    ['a header of one more line', `cc-${TRACE}-${SPAN}-01-\r\nx: y`],
  ])('refuses a traceparent, and its tracestate with it: %s', (_, traceparent) => {
    expect(parseTraceContext({ traceparent, tracestate: 'a=1' })).toBeUndefined();
  });

  it.each([
    ['of the same form', `cc-${TRACE}-${SPAN}-01`, '01'],
    ['with more', `01-${TRACE}-${SPAN}-01-what-the-future-holds`, '01'],
    ['with a dash at the end', `cc-${TRACE}-${SPAN}-01-`, '01'],
    ['with flags that version 00 does not know', `cc-${TRACE}-${SPAN}-fe`, '00'],
  ])('reads of a later version what is known, and says it in version 00: %s', (_, traceparent, flags) => {
    expect(parseTraceContext({ traceparent })).toEqual({ traceparent: `00-${TRACE}-${SPAN}-${flags}` });
  });

  it.each([
    ['one member', 'congo=t61rcWkgMzE', 'congo=t61rcWkgMzE'],
    ['several, of several headers', 'rojo=00f0, congo=t61', 'rojo=00f0, congo=t61'],
    ['512 characters', `a=${'x'.repeat(510)}`, `a=${'x'.repeat(510)}`],
    ['the members that fit', `a=${'x'.repeat(508)},b,c=1`, `a=${'x'.repeat(508)},b`],
    ['the first of two that do not fit', `a=1,b=${'x'.repeat(600)}`, 'a=1'],
  ])('keeps of a tracestate %s', (_, tracestate, kept) => {
    expect(parseTraceContext({ traceparent: VALID, tracestate })).toEqual({
      traceparent: VALID,
      tracestate: kept,
    });
  });

  it.each([
    ['nothing in it', ''],
    ['one member that is too long', `a=${'x'.repeat(511)}`],
    ['no end to it', 'x'.repeat(100_000)],
    ['a line break', 'a=1\r\nx-admin: 1'],
    ['NUL', 'a=\0'],
    ['no ASCII', 'a=ä'],
    ['a list', ['a=1']],
  ])('drops a tracestate with %s, and keeps the trace', (_, tracestate) => {
    expect(parseTraceContext({ traceparent: VALID, tracestate })).toEqual({ traceparent: VALID });
  });
});
