import { describe, expect, test } from 'vitest';
import { type AttemptOutcome, createCircuitBreaker } from './circuit-breaker.ts';

function setUp({ random = 0 } = {}) {
  let time = 1_000_000;
  const breaker = createCircuitBreaker({ now: () => time, random: () => random });
  const admit = (key = 'key') => {
    const admission = breaker.admit(key);
    if (!admission.allowed) throw new Error(`open for ${admission.retryAfterMs} ms`);
    return admission;
  };
  const attempt = (outcome: AttemptOutcome, key = 'key') => admit(key).report(outcome);
  return {
    breaker,
    admit,
    attempt,
    fail(times: number, key = 'key') {
      for (let count = 0; count < times; count++) attempt('failure', key);
    },
    pass(milliseconds: number) {
      time += milliseconds;
    },
    /** How long the circuit refuses, in milliseconds; 0 if it does not. */
    refusal(key = 'key') {
      const admission = breaker.admit(key);
      if (!admission.allowed) return admission.retryAfterMs;
      admission.report('ignored');
      return 0;
    },
  };
}

describe('a closed circuit', () => {
  test('opens after 5 failures in a row, for a second', () => {
    const { fail, refusal, breaker } = setUp();
    fail(4);
    expect(refusal()).toBe(0);
    fail(1);
    expect(refusal()).toBe(1000);
    expect(breaker.open).toBe(1);
  });

  test('counts anew after a success, and passes over what is ignored', () => {
    const { fail, attempt, refusal } = setUp();
    fail(4);
    attempt('ignored');
    attempt('success');
    fail(4);
    attempt('ignored');
    expect(refusal()).toBe(0);
    fail(1);
    expect(refusal()).toBe(1000);
  });

  test('is of its key alone', () => {
    const { fail, refusal, breaker } = setUp();
    fail(5, 'alice host');
    expect(refusal('alice host')).toBe(1000);
    expect(refusal('bob host')).toBe(0);
    expect(refusal('alice other')).toBe(0);
    expect(breaker.open).toBe(1);
  });
});

describe('an open circuit', () => {
  test('says how long it will be open', () => {
    const { fail, pass, refusal } = setUp();
    fail(5);
    pass(400);
    expect(refusal()).toBe(600);
  });

  test('lets one probe through at a time, and closes by its success', () => {
    const { fail, pass, admit, refusal, breaker } = setUp();
    fail(5);
    pass(1000);
    const probe = admit();
    expect(refusal()).toBe(1000);
    probe.report('success');
    expect(breaker.open).toBe(0);
    fail(4);
    expect(refusal()).toBe(0);
  });

  test('takes an ignored probe for none', () => {
    const { fail, pass, admit, refusal } = setUp();
    fail(5);
    pass(1000);
    admit().report('ignored');
    const next = admit();
    expect(refusal()).toBe(1000);
    next.report('failure');
    expect(refusal()).toBe(2000);
  });

  test('stays open twice as long after each probe that fails, up to 30 s', () => {
    const { attempt, fail, pass, refusal } = setUp();
    fail(5);
    const waits = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    for (const wait of waits) {
      expect(refusal()).toBe(wait);
      pass(wait - 1);
      expect(refusal()).toBe(1);
      pass(1);
      attempt('failure');
    }
  });

  test('comes back up to a fifth earlier, by chance', () => {
    const { attempt, fail, pass, refusal } = setUp({ random: 0.5 });
    fail(5);
    expect(refusal()).toBe(1000);
    pass(1000);
    attempt('failure');
    expect(refusal()).toBe(1800);
  });

  test('starts with a second again once it was closed', () => {
    const { attempt, fail, pass, refusal } = setUp();
    fail(5);
    pass(1000);
    attempt('failure');
    pass(2000);
    attempt('success');
    fail(5);
    expect(refusal()).toBe(1000);
  });
});

describe('reports that come late', () => {
  test('of many parallel failures open it once', () => {
    const { admit, pass, refusal, breaker } = setUp();
    const attempts = Array.from({ length: 200 }, () => admit());
    for (const { report } of attempts.slice(0, 150)) report('failure');
    expect(refusal()).toBe(1000);
    pass(999);
    for (const { report } of attempts.slice(150, 170)) report('failure');
    expect(refusal()).toBe(1);
    pass(1);
    const probe = admit();
    // Neither takes the probe's place, nor gives it back.
    for (const { report } of attempts.slice(170, 180)) report('failure');
    for (const { report } of attempts.slice(180, 190)) report('ignored');
    expect(refusal()).toBe(1000);
    probe.report('success');
    for (const { report } of attempts.slice(190)) report('failure');
    expect(refusal()).toBe(0);
    expect(breaker.open).toBe(0);
  });

  test('of a success do not close it', () => {
    const { admit, fail, pass, refusal } = setUp();
    const slow = admit();
    const slower = admit();
    fail(5);
    slow.report('success');
    expect(refusal()).toBe(1000);
    pass(1000);
    const probe = admit();
    slower.report('success');
    expect(refusal()).toBe(1000);
    probe.report('failure');
    expect(refusal()).toBe(2000);
  });
});

describe('memory', () => {
  test('is bounded: the key that was not asked for the longest is forgotten', () => {
    const { fail, refusal, breaker } = setUp();
    fail(5, 'used');
    fail(5, 'unused');
    for (let index = 0; index < 9_998; index++) fail(5, `other ${index}`);
    expect(breaker.open).toBe(10_000);
    refusal('used');
    fail(1, 'one more');
    expect(refusal('used')).toBe(1000);
    expect(refusal('unused')).toBe(0);
  });

  test('is not used by keys that never fail', () => {
    const { attempt, fail, refusal } = setUp();
    fail(5, 'dead');
    for (let index = 0; index < 20_000; index++) attempt('success', `well ${index}`);
    expect(refusal('dead')).toBe(1000);
  });
});
