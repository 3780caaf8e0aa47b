import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { adopt } from '../scratch.ts';

// `npm run reliability`: what the service promises to withstand, each in a program of its own.

const programs = {
  kill: 'kill -9 under writes, again and again, on one database',
  broker: 'RabbitMQ goes away in every way that a broker does',
  saga: 'users are deleted while the service is killed',
  postgres: 'PostgreSQL restarts and stalls under load',
  drain: 'SIGTERM under load, behind a balancer',
  overload: 'ten times as many calls as it can serve',
} as const;
type Name = keyof typeof programs;
const files: Record<Name, string> = {
  kill: 'kill.ts',
  broker: 'broker.ts',
  saga: 'saga.ts',
  postgres: 'postgres-restart.ts',
  drain: 'drain.ts',
  overload: 'overload.ts',
};
const names = Object.keys(programs) as Name[];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const only = values.only?.split(',') ?? names;
if (positionals.length > 0 || only.some((name) => !names.includes(name as Name))) {
  process.stderr.write(
    `npm run reliability -- [--quick] [--only NAME[,NAME...]]\n\n${names
      .map((name) => `  ${name.padEnd(9)} ${programs[name]}\n`)
      .join('')}\n--quick: a minute or so each, to see that it works.\n`,
  );
  process.exit(2);
}
const failed: string[] = [];
for (const name of names.filter((each) => only.includes(each))) {
  process.stderr.write(`\n== ${name}: ${programs[name]}\n`);
  const file = new URL(files[name], import.meta.url);
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), file.pathname, ...(values.quick ? ['--quick'] : [])],
    { stdio: 'inherit' },
  );
  adopt(child);
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) failed.push(name);
}
if (failed.length > 0) {
  process.stderr.write(`\nnot as promised: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
