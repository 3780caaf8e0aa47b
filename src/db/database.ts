import type { SQL } from 'drizzle-orm';
import type { PgColumn, PgDatabase, PgQueryResultHKT, PgTable } from 'drizzle-orm/pg-core';
import type * as postgresTables from './postgres/schema.ts';
import type * as sqliteTables from './sqlite/schema.ts';

/** The tables, typed as PostgreSQL's; on SQLite they are its own tables under this type, cast once where it opens. */
export type Tables = typeof postgresTables;

/** What a query runs on: outside of a transaction, or in one. Await every query: on PostgreSQL it is a promise. */
export type Handle = PgDatabase<PgQueryResultHKT>;

/** A handle within a transaction, its own type so that a function which needs one says so. */
export type Transaction = Handle & { readonly [inTransaction]: true };
declare const inTransaction: unique symbol;

export interface TransactionOptions {
  readonly signal?: AbortSignal | undefined;
  readonly survivesPowerLoss?: boolean;
  readonly inTurnOf?: string | undefined;
}

/** One database, of either engine. */
export interface Database {
  readonly dialect: 'sqlite' | 'postgres';
  readonly tables: Tables;
  readonly read: Handle;
  /**
   * Runs `work` in one transaction that may write: commits when it resolves, rolls back when it throws. Never wait in
   * it for anything but the database, and never read in it by another handle than its own, which would wait for a
   * second connection. On PostgreSQL `work` runs again where the transaction met another in a deadlock: it changes
   * nothing but the database.
   *
   * @throws ServiceError `unavailable` when the database takes no change within its time of the asking (5 s on SQLite,
   * DATABASE_TIMEOUT on PostgreSQL), or cannot be reached, or was lost before it said that it had committed, which is then
   * not known; the signal's reason when it aborts before `work` begins. What has begun goes on to its end.
   *
   * @param options.survivesPowerLoss false for what may be lost when the power goes off: the commit need not wait for the
   * disk then. It survives the end of the process all the same.
   * @param options.inTurnOf Transactions of this process with the same name run one after another, and take a connection
   * only in their turn: for those that would wait for each other in the database, where each that waits has a connection
   * which everybody else lacks. On SQLite, where one transaction runs at a time, it does nothing.
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Makes a query ready to run many times, with the values of its placeholders. On PostgreSQL the name is the
   * statement's. Columns are texts and whole numbers, so that nothing need be decoded.
   */
  prepare<Q extends SelectQuery>(handle: Handle, name: string, query: Q): PreparedQuery<Q>;
  /**
   * Makes the insertion of whole rows into a table ready to run many times; rows whose keys are there already stay as they
   * are. On SQLite it holds the event loop for some 15 µs a row.
   */
  prepareInsert<T extends PgTable>(
    transaction: Handle,
    name: string,
    table: T,
  ): (rows: readonly T['$inferSelect'][]) => Promise<void>;
  /**
   * Until the transaction ends, `exclusive` keeps other transactions from locking any of these names, and `shared` from
   * locking them exclusively. Names are texts of any kind. On SQLite, where one transaction runs at a time, it does
   * nothing.
   *
   * `exclusive` waits until it has all. `shared` never waits: what another transaction has exclusively, or waits to have,
   * it does not get.
   *
   * @returns the names that it did not get.
   */
  lock(
    transaction: Transaction,
    names: readonly string[],
    mode: 'shared' | 'exclusive',
  ): Promise<readonly string[]>;
  /** The condition that a column's value is in the JSON list of texts which the placeholder is given. */
  anyOf(column: PgColumn, placeholder: string): SQL;
  /** Whether an error is the database's refusal of a second row under a unique key. */
  isUniqueViolation(error: unknown): boolean;
  /** Resolves when the database answers and its migrations are applied; rejects with the reason otherwise. */
  check(): Promise<void>;
  /** Waits for the transaction under way, then closes. Idempotent. */
  close(): Promise<void>;
}

/** What `prepare` takes: a drizzle `select` that names its columns. */
export interface SelectQuery {
  readonly _: { readonly result: readonly object[]; readonly selectedFields: object };
  toSQL(): { sql: string; params: unknown[] };
  prepare(name: string): { execute(values?: Record<string, unknown>): Promise<readonly object[]> };
}

/** Runs the query and gives its rows. */
export type PreparedQuery<Q extends SelectQuery> = (
  values?: Readonly<Record<string, unknown>>,
) => Promise<Q['_']['result']>;

/**
 * Makes the prepared queries of a store once for each handle and keeps them as long as the handle lives: a drizzle
 * query costs ten times as much when it is built anew for each call.
 */
export function preparedOnce<Q>(prepare: (database: Database, handle: Handle) => Q) {
  const queries = new WeakMap<Handle, Q>();
  return (database: Database, handle: Handle = database.read): Q => {
    const known = queries.get(handle);
    if (known) return known;
    const made = prepare(database, handle);
    queries.set(handle, made);
    return made;
  };
}

// Compile-time check: both engines have the same tables with the same rows.
type Rows<T> = { [K in keyof T]: T[K] extends { $inferSelect: infer Row } ? Row : never };
type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
true satisfies Equal<Rows<typeof sqliteTables>, Rows<typeof postgresTables>>;
