import type { PGlite } from '@electric-sql/pglite';
import type { Pool, PoolClient, QueryConfig, QueryResult } from '../db/postgres/pool.ts';

// PGlite is PostgreSQL in this process, with one connection: whoever has it keeps the others waiting.

let starting: Promise<PGlite> | undefined;
/** What the last one to wait waits for. */
let free: Promise<unknown> = Promise.resolve();
let schemaInForce = '';

/** The instance of this process, started at the first use, which takes seconds. */
function start(): Promise<PGlite> {
  starting ??= import('@electric-sql/pglite').then(({ PGlite }) => PGlite.create());
  return starting;
}

/** Runs statements on it, outside of any database of a test. */
export async function runOnPglite(statements: string): Promise<void> {
  const client = await pglitePool('public').connect();
  try {
    await client.query(statements);
  } finally {
    client.release();
  }
}

/** A pool of the one connection, with a schema of its own in force for who has it. */
export function pglitePool(schema: string): Pool {
  let instance: PGlite;
  let release = () => {};
  const client: PoolClient = {
    query: (config, values) =>
      run(
        instance,
        typeof config === 'string'
          ? { text: config, values: values ?? [] }
          : { ...config, ...(values ? { values } : {}) },
      ),
    release: () => release(),
  };
  let isEnded = false;
  return {
    async connect() {
      // In node-postgres's words.
      if (isEnded) throw new Error('Cannot use a pool after calling end on the pool');
      instance = await start();
      const before = free;
      let next = () => {};
      free = new Promise<void>((resolve) => {
        next = resolve;
      });
      await before;
      release = next;
      if (schemaInForce !== schema) await instance.exec(`rollback; set search_path = ${schema}`);
      schemaInForce = schema;
      return client;
    },
    async end() {
      isEnded = true;
    },
  };
}

/** Numbers as node-postgres gives them unless told otherwise: 64-bit ones as text. */
const parsers = { 20: (text: string) => text };

async function run(
  instance: PGlite,
  { text, values = [], rowMode, types }: QueryConfig,
): Promise<QueryResult> {
  if (values.length === 0 && rowMode === undefined) {
    const results = await instance.exec(text);
    return results.at(-1) ?? { rows: [] };
  }
  const parse = types?.getTypeParser(20) as ((text: string) => unknown) | undefined;
  return instance.query(text, [...values], {
    ...(rowMode === undefined ? {} : { rowMode }),
    parsers: parse ? { 20: parse } : parsers,
  });
}
