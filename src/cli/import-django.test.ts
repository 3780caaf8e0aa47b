import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqlite } from '../db/sqlite/open.ts';
import { createEncryption } from '../encryption.ts';
import { packageRoot } from '../package-root.ts';
import { idOf, makeDjango, OWNER, row, webhookDefinition } from '../tools/django/django-for-tests.ts';
import { openSecrets } from '../tools/seal-definition.ts';
import { findSecrets, findTool } from '../tools/tool-store.ts';

/** Runs a command of this folder, in a folder of its own, with this database. */
async function run(command: string, args: readonly string[], folder: string, databaseUrl?: string) {
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), join(packageRoot, 'src', 'cli', `${command}.ts`), ...args],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: databaseUrl ?? `file:${join(folder, 'data', 'tools.db')}`,
        JWT_SECRET_KEY: 'x'.repeat(32),
        ...(databaseUrl === undefined ? {} : { ENCRYPTION_KEY: Buffer.alloc(32).toString('base64') }),
      },
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk);
    });
  }
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}

/** Each command is compiled as it starts, which takes its time on a busy machine. */
const LIMIT_MS = 60_000;

it(
  'moves tools in, keeps what it rejects aside, and can be run again',
  async () => {
    const token = 'secret-of-old';
    const authentication = { type: 'bearer', token };
    using old = makeDjango([
      row(1, { definition: JSON.stringify(webhookDefinition('x', { authentication })) }),
      row(2, {
        name: 'evil\u001b[2J\u202e',
        definition: JSON.stringify(
          webhookDefinition('y', { authentication, url: 'http://169.254.169.254/' }),
        ),
      }),
    ]);
    const rejectedFile = `${old.file}.rejected.jsonl`;
    const target = join(old.folder, 'data', 'tools.db');

    const trial = await run('import-django', [old.file, '--dry-run'], old.folder);
    expect(trial).toMatchObject({
      code: 1,
      output: expect.stringContaining('Would be: 1 created, 1 rejected.'),
    });
    expect([existsSync(target), existsSync(rejectedFile)]).toEqual([false, false]);

    const first = await run('import-django', [old.file], old.folder);
    expect(first).toMatchObject({ code: 1, output: expect.stringContaining('1 created, 1 rejected.') });
    expect(first.output).toMatch(
      /rejected {2}a{8}\S+ evil \[2J {2}- definition: Webhook 'url' is not allowed/,
    );
    expect(first.output).not.toContain(token);
    expect(statSync(rejectedFile).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(rejectedFile, 'utf8'))).toEqual({
      reason: expect.stringContaining('not allowed'),
      row: {
        usage_count: null,
        ...row(2),
        name: 'evil\u001b[2J\u202e',
        definition: expect.stringContaining(token),
      },
    });
    const second = await run('import-django', [old.file], old.folder);
    expect(second).toMatchObject({ code: 1, output: expect.stringContaining('1 unchanged, 1 rejected.') });

    // With the key that the service makes for itself.
    const key = readFileSync(join(old.folder, 'data', 'encryption-key'), 'utf8');
    const encryption = createEncryption([Buffer.from(key, 'base64')]);
    const database = openSqlite(target);
    expect(await findTool(database, idOf(1), OWNER)).toMatchObject({ name: 'tool_1' });
    const secrets = openSecrets({ encryption }, idOf(1), await findSecrets(database, idOf(1)));
    expect(Object.values(secrets)).toEqual([token]);
    await database.close();

    const backup = join(old.folder, 'copy.db');
    expect(await run('backup', [backup], old.folder)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/bytes, checked[\s\S]*encryption-key/),
    });
    const copy = openSqlite(backup);
    expect(await findTool(copy, idOf(1), OWNER)).toMatchObject({ name: 'tool_1' });
    await copy.close();
  },
  LIMIT_MS,
);

it(
  'says in a line what is wrong with what it is given',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
    try {
      const postgres = 'postgres://127.0.0.1:9/none';
      const [missing, server, none] = await Promise.all([
        run('import-django', ['no.sqlite3'], folder),
        run('backup', ['copy.db'], folder, postgres),
        run('backup', ['copy.db'], folder),
      ]);
      expect(missing).toMatchObject({
        code: 1,
        output: expect.stringMatching(/^no\.sqlite3 is not a database[^\n]+\n$/),
      });
      expect(server).toMatchObject({
        code: 1,
        output: expect.stringMatching(/^Configuration: [^\n]+pg_dump[^\n]+\n$/),
      });
      expect(none).toMatchObject({
        code: 1,
        output: expect.stringMatching(/^there is no database [^\n]+\n$/),
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);
