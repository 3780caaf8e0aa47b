import { and, asc, eq, isNull, lte, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { type Database, preparedOnce, type Transaction } from '../../db/database.ts';

const { placeholder } = sql;

type KeyRow = Database['tables']['idempotencyKeys']['$inferSelect'];

/** What a key belongs to. */
export type KeyPlace = Pick<KeyRow, 'userId' | 'toolId' | 'key'>;

/** A run under a key. Another may take the key over once it is old: `run` tells them apart. */
export type Claim = KeyPlace & Pick<KeyRow, 'run'>;

/** What is known of the run under a key: when it began, whether it lives, how it ended. */
export type StoredRun = Pick<KeyRow, 'argumentsHash' | 'createdAt' | 'leaseUntil' | 'result'>;

const reads = preparedOnce((database, handle) => {
  const { idempotencyKeys: keys } = database.tables;
  const { argumentsHash, createdAt, leaseUntil, result } = keys;
  return {
    run: database.prepare(
      handle,
      'idempotency_key',
      handle.select({ argumentsHash, createdAt, leaseUntil, result }).from(keys).where(atPlace(database)),
    ),
  };
});

const writes = preparedOnce((database, handle) => {
  const { idempotencyKeys: keys } = database.tables;
  const ofClaim = and(atPlace(database), eq(keys.run, placeholder('run')));
  return {
    claim: handle
      .insert(keys)
      .values({
        userId: placeholder('userId'),
        toolId: placeholder('toolId'),
        key: placeholder('key'),
        argumentsHash: placeholder('argumentsHash'),
        run: placeholder('run'),
        createdAt: placeholder('createdAt'),
        leaseUntil: placeholder('leaseUntil'),
      })
      .onConflictDoUpdate({
        target: [keys.userId, keys.toolId, keys.key],
        set: {
          argumentsHash: offered(keys.argumentsHash),
          run: offered(keys.run),
          createdAt: offered(keys.createdAt),
          leaseUntil: offered(keys.leaseUntil),
          result: null,
        },
        setWhere: lte(keys.createdAt, placeholder('oldUntil')),
      })
      .returning({ run: keys.run })
      .prepare('claim_idempotency_key'),
    end: handle
      .update(keys)
      .set({ result: sql`${placeholder('result')}` })
      .where(ofClaim)
      .prepare('end_idempotent_run'),
    free: handle.delete(keys).where(ofClaim).prepare('free_idempotency_key'),
    // By the time, for which there is an index; there is none by the run.
    renew: handle
      .update(keys)
      .set({ leaseUntil: sql`${placeholder('leaseUntil')}` })
      .where(
        and(
          sql`${keys.createdAt} >= ${placeholder('since')}`,
          database.anyOf(keys.run, 'runs'),
          isNull(keys.result),
        ),
      )
      .prepare('renew_idempotency_leases'),
  };
});

/** The run under a key, however old. */
export async function findRun(database: Database, place: KeyPlace): Promise<StoredRun | undefined> {
  const [row] = await reads(database).run({ ...place });
  return row;
}

/**
 * Takes a key for a run, where it is free or was taken before or at `oldUntil`.
 *
 * @returns false, and nothing is stored, when another run has it.
 */
export async function claimKey(
  database: Database,
  transaction: Transaction,
  record: Omit<KeyRow, 'result'>,
  oldUntil: number,
): Promise<boolean> {
  const rows = await writes(database, transaction).claim.execute({ ...record, oldUntil });
  return rows.length > 0;
}

/** Stores how a run ended. Nothing is stored when the key is another run's by now. */
export async function endRun(
  database: Database,
  transaction: Transaction,
  claim: Claim,
  result: string,
): Promise<void> {
  await writes(database, transaction).end.execute({ ...claim, result });
}

/** Gives a run's key back, as if it had not been used. */
export async function freeKey(database: Database, transaction: Transaction, claim: Claim): Promise<void> {
  await writes(database, transaction).free.execute({ ...claim });
}

/** Moves on the leases of those of these runs that have not ended. None of them began before `since`. */
export async function renewLeases(
  database: Database,
  transaction: Transaction,
  runs: readonly string[],
  { since, leaseUntil }: { since: number; leaseUntil: number },
): Promise<void> {
  await writes(database, transaction).renew.execute({ runs: JSON.stringify(runs), since, leaseUntil });
}

/**
 * Removes the oldest keys of those taken before or at `oldUntil`: about `limit` of them, more where several are equally
 * old.
 *
 * @returns whether there may be more.
 */
export async function removeOldKeys(
  database: Database,
  transaction: Transaction,
  oldUntil: number,
  limit: number,
): Promise<boolean> {
  const { idempotencyKeys: keys } = database.tables;
  const oldest = await transaction
    .select({ createdAt: keys.createdAt })
    .from(keys)
    .where(lte(keys.createdAt, oldUntil))
    .orderBy(asc(keys.createdAt))
    .limit(limit);
  const last = oldest.at(-1);
  if (!last) return false;
  await transaction.delete(keys).where(lte(keys.createdAt, last.createdAt));
  return oldest.length === limit;
}

function atPlace(database: Database): SQL | undefined {
  const { userId, toolId, key } = database.tables.idempotencyKeys;
  return and(
    eq(userId, placeholder('userId')),
    eq(toolId, placeholder('toolId')),
    eq(key, placeholder('key')),
  );
}

/** The value that the insertion which met a conflict had for a column. */
function offered(column: PgColumn): SQL {
  return sql`excluded.${sql.identifier(column.name)}`;
}
