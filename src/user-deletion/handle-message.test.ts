import { describe, expect, it } from 'vitest';
import type { Database } from '../db/database.ts';
import { ServiceError } from '../errors.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { ALICE, BOB } from '../testing/tools-context.ts';
import { handleDeletionMessage } from './handle-message.ts';
import {
  bodyFor,
  deletionContext,
  engines,
  eventsOf,
  everything,
  furnish,
} from './user-deletion-for-tests.ts';

const alice = ALICE.userId ?? '';
const bob = BOB.userId ?? '';
const kinds = async (database: Database) => (await eventsOf(database)).map(([type]) => type);

describe.each(engines)('a message that asks for a deletion on %s', (engine) => {
  it('has the same effect in five deliveries as in one, at once or one after another', async () => {
    await using database = await openTestDatabase(engine);
    await furnish(database, ALICE);
    const context = deletionContext(database);
    const handle = () => handleDeletionMessage(context, bodyFor(ALICE));
    expect(await Promise.all([handle(), handle()])).toEqual(['done', 'done']);
    const after = await everything(database);
    for (let count = 0; count < 3; count++) expect(await handle()).toBe('done');
    expect(await everything(database)).toEqual(after);
    expect((await kinds(database)).slice(3)).toEqual([...Array(3).fill('tool.deleted'), 'user.deleted']);
    expect(context.lines).toEqual(['info: a user was deleted']);
  });

  it("comes to the same when two users' are interleaved", async () => {
    await using database = await openTestDatabase(engine);
    for (const caller of [ALICE, BOB]) await furnish(database, caller);
    const context = deletionContext(database);
    const bodies = Array.from({ length: 10 }, (_, index) => bodyFor(index % 2 === 0 ? ALICE : BOB));
    const outcomes = await Promise.all(bodies.map((body) => handleDeletionMessage(context, body)));
    expect(new Set(outcomes)).toEqual(new Set(['done']));
    const { tools, executions, idempotencyKeys, deletedUsers } = await everything(database);
    expect([tools, executions, idempotencyKeys]).toEqual([[], [], []]);
    expect(deletedUsers?.map((row) => (row as { userId: string }).userId).sort()).toEqual([alice, bob]);
    const events = await eventsOf(database);
    expect(
      events
        .filter(([type]) => type === 'user.deleted')
        .map(([, id]) => id)
        .sort(),
    ).toEqual([alice, bob]);
    expect(events.filter(([type]) => type === 'tool.deleted')).toHaveLength(6);
  });

  it('is thrown back while the database is away, and done when it comes again', async () => {
    await using database = await openTestDatabase(engine);
    await furnish(database, ALICE);
    const before = await everything(database);
    const fault = (error: Error, commits: boolean): Database => ({
      ...database,
      async transaction(work, options) {
        if (commits) await database.transaction(work, options);
        throw error;
      },
    });
    const away = new ServiceError('unavailable', 'The database does not answer now. Try again.');
    const context = deletionContext(database);
    const handle = (over: Database) => handleDeletionMessage({ ...context, database: over }, bodyFor(ALICE));
    await expect(handle(fault(away, false))).rejects.toBe(away);
    const unknown = new Error('a fault of ours');
    await expect(handle(fault(unknown, false))).rejects.toBe(unknown);
    expect(await everything(database)).toEqual(before);
    // The process ends, or the answer is lost, after the commit: the message comes again.
    await expect(handle(fault(away, true))).rejects.toBe(away);
    const after = await everything(database);
    expect(await handle(database)).toBe('done');
    expect(await everything(database)).toEqual(after);
    expect((await kinds(database)).at(-1)).toBe('user.deleted');
    expect(context.lines).toEqual([
      'warn: a user cannot be deleted now: to be tried again',
      'error: a user cannot be deleted now: to be tried again',
      'warn: a user cannot be deleted now: to be tried again',
    ]);
  });
});

describe('a message', () => {
  const upper = alice.toUpperCase();
  it.each([
    ['any spelling', `{"user_id":"urn:uuid:${upper}"}`],
    ['no hyphens', `{"user_id":"${alice.replaceAll('-', '')}"}`],
    ['unknown keys', `{"user_id":"${alice}","reason":{"user_id":"${bob}"},"__proto__":null,"constructor":1}`],
    ['the last of two', `{"user_id":"${bob}","user_id":"${alice}"}`],
    ['an escaped key', `{"user\\u005fid":"${alice}"}`],
    ['a byte order mark', `\uFEFF{"user_id":"${alice}"}`],
    ['deep unknown values', `{"x":${'['.repeat(5000)}${']'.repeat(5000)},"user_id":"${alice}"}`],
  ])('with %s is handled', async (_, body) => {
    await using database = await openTestDatabase('sqlite');
    expect(await handleDeletionMessage(deletionContext(database), Buffer.from(body))).toBe('done');
    expect(await eventsOf(database)).toEqual([['user.deleted', alice]]);
  });

  it.each([
    ['', 'the body is not JSON: '],
    ['{"user_id"', 'the body is not JSON: {"user_id"'],
    [`{"user_id":"${alice}"} x`, `the body is not JSON: {"user_id":"${alice}"} x`],
    ['null', 'the body is not a JSON object: null'],
    [`["${alice}"]`, `the body is not a JSON object: ["${alice}"]`],
    ['{}', 'the body has no user_id: {}'],
    [`{"__proto__":{"user_id":"${alice}"}}`, /^the body has no user_id: /],
    ['{"user_id":null}', 'user_id is not a UUID: {"user_id":null}'],
    ['{"user_id":7}', 'user_id is not a UUID: {"user_id":7}'],
    ['{"user_id":["x"]}', 'user_id is not a UUID: {"user_id":["x"]}'],
    ['{"user_id":"x\u202E\u009F\u00e9 \\u0000"}', 'user_id is not a UUID: {"user_id":"x??? \\u0000"}'],
    ['{\n"user_id":\t}\u0007\u001b[2J', 'the body is not JSON: {?"user_id":?}??[2J'],
    [`{"user_id":"${'x'.repeat(1000)}"}`, /^user_id is not a UUID: \{"user_id":"x{68}\.\.\.$/],
    [`{"user_id":${'['.repeat(30_000)}${']'.repeat(30_000)}}`, /^user_id is not a UUID: .{80}\.\.\.$/],
    ['['.repeat(60_000), /^the body is not JSON: \[{80}\.\.\.$/],
    [`{"user_id":"${alice}","x":"${'x'.repeat(65_536)}"}`, 'the body has more than 65536 bytes'],
    [Buffer.from([0x7b, 0xff, 0x7d]), 'the body is not UTF-8'],
  ])('that can never be handled is set aside, with the reason (%#)', async (body, reason) => {
    const untouched = new Proxy({} as Database, {
      get: () => expect.fail('the database was asked'),
    });
    const context = deletionContext(untouched);
    for (const form of typeof body === 'string' ? [body, Buffer.from(body)] : [body]) {
      const outcome = await handleDeletionMessage(context, form);
      const words = typeof reason === 'string' ? reason : expect.stringMatching(reason);
      expect(outcome).toEqual({ deadLetter: words });
      const { deadLetter } = outcome as { deadLetter: string };
      expect(deadLetter).toMatch(/^[\x20-\x7e]{1,200}$/);
      expect(context.lines.at(-1)).toBe(
        `error: a message asks for a deletion that cannot be made: set aside (${deadLetter})`,
      );
    }
  });
});
