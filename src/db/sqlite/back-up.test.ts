import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { backUp } from './back-up.ts';
import { Sqlite } from './driver.ts';
import { openSqlite } from './open.ts';

/** A folder with a database that something is in. */
function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'tool-service-backup-'));
  const source = join(folder, 'tools.db');
  const connection = new Sqlite(source);
  connection.pragma('journal_mode = wal');
  connection.exec('create table counters (writer integer, value integer, filler text)');
  return {
    folder,
    source,
    connection,
    target: join(folder, 'copy.db'),
    [Symbol.dispose]() {
      connection.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const fill = (connection: ReturnType<typeof makeFolder>['connection'], rows: number) =>
  connection.exec(
    `insert into counters with recursive n (i) as (select 1 union all select i + 1 from n where i < ${rows})
     select 0, i, hex(randomblob(500)) from n`,
  );

/** Writes pairs of rows, each pair in one transaction, until it is ended; says how many are committed. */
const WRITER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { createRequire } = require('node:module');
  const load = createRequire(workerData.driver);
  let Sqlite;
  try { Sqlite = load('better-sqlite3-napi'); } catch { Sqlite = load('better-sqlite3'); }
  const connection = new Sqlite(workerData.source, { timeout: 5000 });
  const insert = connection.prepare("insert into counters values (?, ?, hex(randomblob(200)))");
  const pair = connection.transaction((value) => { insert.run(1, value); insert.run(2, value); });
  let value = 0;
  setInterval(() => { for (let i = 0; i < 20; i++) pair.immediate(++value); parentPort.postMessage(value); }, 1);
`;

describe('a backup', () => {
  it('is a sound copy of one moment, with all that was acknowledged before, while others write', async () => {
    using at = makeFolder();
    fill(at.connection, 20_000);
    const writer = new Worker(WRITER, {
      eval: true,
      workerData: { source: at.source, driver: import.meta.filename },
    });
    try {
      await once(writer, 'message');
      const [acknowledged] = (await once(writer, 'message')) as [number];
      let written = acknowledged;
      writer.on('message', (value: number) => {
        written = value;
      });
      const seen: number[] = [];
      await backUp(at.source, at.target, { onProgress: (copied) => seen.push(copied) });
      expect(seen.length).toBeGreaterThan(2);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      // They did not wait for it.
      expect(written).toBeGreaterThan(acknowledged);

      const copy = new Sqlite(at.target, { readonly: true });
      const last = copy.prepare(
        'select count(*) as count, max(value) as value from counters where writer = ?',
      );
      const one = last.get(1) as { count: number; value: number };
      expect(last.get(2)).toEqual(one);
      expect(one.count).toBe(one.value);
      expect(one.value).toBeGreaterThanOrEqual(acknowledged);
      expect(copy.pragma('integrity_check', { simple: true })).toBe('ok');
      copy.close();
    } finally {
      await writer.terminate();
    }
    expect(statSync(at.target).mode & 0o777).toBe(0o600);
    expect(readdirSync(at.folder).filter((name) => name.startsWith('copy'))).toEqual(['copy.db']);
  });

  it('can be opened by the service', async () => {
    using at = makeFolder();
    const database = openSqlite(at.source);
    await backUp(at.source, at.target);
    await database.close();
    const copy = openSqlite(at.target);
    await copy.check();
    await copy.close();
  });

  it('replaces no file unless it is told to', async () => {
    using at = makeFolder();
    writeFileSync(at.target, 'precious', { mode: 0o644 });
    await expect(backUp(at.source, at.target)).rejects.toThrow('is there already; --force replaces it');
    expect(statSync(at.target).size).toBe(8);
    await backUp(at.source, at.target, { force: true });
    expect(statSync(at.target).mode & 0o777).toBe(0o600);
    expect(new Sqlite(at.target, { readonly: true }).close().open).toBe(false);
  });

  it('leaves nothing behind where it fails', async () => {
    using at = makeFolder();
    await expect(backUp(join(at.folder, 'no.db'), at.target)).rejects.toThrow('there is no database');
    const noDatabase = join(at.folder, 'text.db');
    writeFileSync(noDatabase, 'x'.repeat(5000));
    await expect(backUp(noDatabase, at.target)).rejects.toThrow('not a database');

    fill(at.connection, 500);
    at.connection.pragma('wal_checkpoint(truncate)');
    const bytes = Buffer.alloc(4096, 7);
    const descriptor = openSync(at.source, 'r+');
    writeSync(descriptor, bytes, 0, bytes.length, 5 * 4096);
    closeSync(descriptor);
    await expect(backUp(at.source, at.target)).rejects.toThrow(/damaged|malformed/);
    expect(readdirSync(at.folder).filter((name) => name.startsWith('copy'))).toEqual([]);
  });
});
