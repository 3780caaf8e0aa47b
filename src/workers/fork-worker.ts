import cluster from 'node:cluster';
import { channelOf } from './channel.ts';
import { codeOf, type WorkerProcess } from './start-workers.ts';

/** Starts this program again as a worker. One that the system refuses to start ends at once, with the system's code. */
export function forkWorker(): WorkerProcess {
  const forked = cluster.fork();
  return {
    id: forked.id,
    pid: forked.process.pid,
    channel: channelOf(forked),
    onExit(listener) {
      forked.once('exit', listener);
      // Unheard, the event would end this process. It is no end of a process that runs, which has an exit of its own.
      forked.on('error', (error) => {
        if (forked.process.pid === undefined) listener(null, codeOf(error));
      });
    },
    kill: (signal) => void forked.process.kill(signal),
  };
}
