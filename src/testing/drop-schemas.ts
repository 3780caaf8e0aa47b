import pg from 'pg';
import { isMissing, serviceUrl } from './services.ts';

/** Schemas of a run that did not come to its end are dropped after this, in seconds. */
const OLD_SECONDS = 3600;

const started = Math.floor(Date.now() / 1000);

/** After a run of tests: drops the schemas that it made on the test server. */
export async function teardown(): Promise<void> {
  if (await isMissing('postgres').catch(() => true)) return;
  const client = new pg.Client(serviceUrl('postgres'));
  await client.connect();
  try {
    await client.query('set synchronous_commit = off');
    const { rows } = await client.query<{ name: string }>(
      "select nspname as name from pg_namespace where nspname ~ '^test_[0-9]+_'",
    );
    for (const { name } of rows) {
      const isOld = Number(name.split('_')[1]) < started - OLD_SECONDS;
      if (isOld || name.startsWith(process.env.TEST_SCHEMA_PREFIX ?? '-'))
        await client.query(`drop schema if exists ${name} cascade`);
    }
  } finally {
    await client.end();
  }
}
