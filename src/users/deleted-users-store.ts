import { eq, sql } from 'drizzle-orm';
import { type Database, preparedOnce, type Transaction } from '../db/database.ts';
import { ServiceError } from '../errors.ts';

const { placeholder } = sql;

// How a deletion and what is written for the user at the same time keep out of each other's way: every transaction that
// writes for a user takes the user's lock with others (`keepUsers`), and the deletion takes it alone (`markDeleted`). So the
// deletion begins when those before it have committed, and removes what they wrote; those after it find the user
// deleted. Reading the table alone would not do: PostgreSQL's transactions do not see what others are about to commit.
// Those that come while it goes on do not wait for it: each would keep a connection that everybody else lacks.

const queries = preparedOnce((database, handle) => {
  const { userId } = database.tables.deletedUsers;
  const users = () => handle.select({ userId }).from(database.tables.deletedUsers);
  return {
    one: database.prepare(handle, 'deleted_user', users().where(eq(userId, placeholder('userId')))),
    among: database.prepare(handle, 'deleted_users', users().where(database.anyOf(userId, 'userIds'))),
  };
});

/** Whether the platform has deleted this user: one read of a primary key, so that each request can ask. */
export async function isDeletedUser(database: Database, userId: string): Promise<boolean> {
  return (await queries(database).one({ userId })).length > 0;
}

/**
 * Makes sure that none of these users is deleted before the transaction ends, except those who are already. Ask it before
 * the transaction's first change. Ids that are no users' may be among them.
 *
 * @returns the deleted ones, and those who are being deleted right now: nothing may be written for them. It waits for no
 * deletion.
 */
export async function keepUsers(
  database: Database,
  transaction: Transaction,
  userIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (userIds.length === 0) return new Set();
  const { deleted, beingDeleted } = await lockUsers(database, transaction, userIds);
  return new Set([...deleted, ...beingDeleted]);
}

/**
 * As `keepUsers`, for the user for whom a change is made; null for nobody.
 *
 * @throws ServiceError `permission_denied` when the user is deleted, `unavailable` when the user is being deleted right now,
 * which may yet fail.
 */
export async function keepUser(
  database: Database,
  transaction: Transaction,
  userId: string | null,
): Promise<void> {
  if (userId === null) return;
  const { deleted, beingDeleted } = await lockUsers(database, transaction, [userId]);
  if (deleted.length > 0) throw new ServiceError('permission_denied', 'The user has been deleted.');
  if (beingDeleted.length > 0) {
    throw new ServiceError('unavailable', 'The user is being deleted. No change can be made for them.');
  }
}

/**
 * Remembers that a user is deleted, once all transactions that write for them have ended.
 *
 * @returns false, and nothing changes, when that is known already.
 */
export async function markDeleted(
  database: Database,
  transaction: Transaction,
  userId: string,
  now: number,
): Promise<boolean> {
  const { deletedUsers } = database.tables;
  await database.lock(transaction, [lockOf(userId)], 'exclusive');
  const rows = await transaction
    .insert(deletedUsers)
    .values({ userId, deletedAt: now })
    .onConflictDoNothing()
    .returning({ userId: deletedUsers.userId });
  return rows.length > 0;
}

async function lockUsers(
  database: Database,
  transaction: Transaction,
  userIds: readonly string[],
): Promise<{ readonly deleted: readonly string[]; readonly beingDeleted: readonly string[] }> {
  const locked = await database.lock(transaction, userIds.map(lockOf), 'shared');
  const rows = await queries(database, transaction).among({ userIds: JSON.stringify(userIds) });
  return {
    deleted: rows.map(({ userId }) => userId),
    beingDeleted: locked.map((name) => name.slice(LOCK_PREFIX.length)),
  };
}

const LOCK_PREFIX = 'user:';

function lockOf(userId: string): string {
  return `${LOCK_PREFIX}${userId}`;
}
