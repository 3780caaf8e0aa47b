import { expect, it } from 'vitest';
import { forkWorker } from './fork-worker.ts';

it('ends at once with the code of the system where it cannot be started', async () => {
  const { execPath } = process;
  process.execPath = '/nowhere/node';
  try {
    const forked = forkWorker();
    const ended = new Promise((resolve) => forked.onExit((code, signal) => resolve([code, signal])));
    expect(forked.pid).toBeUndefined();
    expect(await ended).toEqual([null, 'ENOENT']);
    forked.kill('SIGKILL');
    forked.channel.send({});
  } finally {
    process.execPath = execPath;
  }
});
