import { expect, it } from 'vitest';
import { nameFault } from './config-fault.ts';
import { StatedFault } from './errors.ts';

it.each([
  [new StatedFault('no schema of the search_path exists'), ' (no schema of the search_path exists)'],
  [Object.assign(new Error('connect 10.0.0.1:5432'), { code: 'ECONNREFUSED' }), ' (ECONNREFUSED)'],
  [new Error('password of postgres://user:secret@host'), ''],
  ['secret', ''],
])('shows words of ours and codes of the system, and nothing else: %s', (error, reason) => {
  const fault = nameFault('DATABASE_URL', 'cannot be opened', error);
  expect(fault.message).toBe(`DATABASE_URL cannot be opened${reason}`);
  expect(fault.cause).toBe(error);
});
