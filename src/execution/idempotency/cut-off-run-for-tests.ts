import { appendFileSync } from 'node:fs';
import { openSqlite } from '../../db/sqlite/open.ts';
import { createIdempotency } from './idempotency.ts';
import { keyedCall, never, testEncryption } from './idempotency-for-tests.ts';

// A process of its own that begins a run and never ends it: FILE of the database, FILE to note each run in.

const [, , databaseFile = '', runsFile = ''] = process.argv;
const context = {
  database: openSqlite(databaseFile),
  encryption: testEncryption(),
  now: Date.now,
  logFault: console.error,
};
const idempotency = createIdempotency(context, { leaseMs: 300, renewMs: 50 });
// Keeps the process alive: nothing of the service's does.
setInterval(() => {}, 1000);
await idempotency.runOnce(keyedCall(), never, () => {
  appendFileSync(runsFile, 'ran\n');
  console.log('running');
  return new Promise(() => {});
});
