import type { MetricsExchange, Reading } from '../metrics.ts';
import type { LocalWindow } from '../transports/throttle/local-window.ts';
import type { WindowCounter } from '../transports/throttle/window-counter.ts';
import type { Channel } from './channel.ts';
import { createPeer } from './peer.ts';
import { createSharedCounter } from './shared-counter.ts';

/** How long the others' numbers are waited for: longer than the primary waits for each. */
const COLLECTION_LIMIT_MS = 2000;

/** How long the primary may take to hear that a worker is ready, or cannot be. */
const REPORT_LIMIT_MS = 5000;

/** The counters that the primary has. */
export type SharedCounterName = 'throttle-users' | 'throttle-addresses';

/** What a worker tells when it serves. */
export interface WorkerReady {
  readonly url: string;
  /** What a developer is shown. */
  readonly welcome: string;
}

/** What a process that is one of several on a port shares with the others. */
export interface WorkerLink {
  /** A counter that all workers share; `local` decides while the primary does not answer, which `logFault` hears of. */
  counter(name: SharedCounterName, local: LocalWindow, logFault: (error: unknown) => void): WindowCounter;
  readonly metrics: MetricsExchange;
  /** Tells the primary that this worker serves. Never rejects. */
  ready(ready: WorkerReady): Promise<void>;
  /** Tells the primary in one line why this worker cannot start. Never rejects. */
  failed(reason: string): Promise<void>;
  /** Calls back when this worker shall stop: the primary says so, or is gone. */
  onStop(listener: () => void): void;
}

/** The worker's end of the line to its primary. */
export function createWorkerLink(channel: Channel): WorkerLink {
  const primary = createPeer(channel);
  return {
    counter: (name, local, logFault) => createSharedCounter(primary, name, local, logFault),
    metrics: {
      serve: (read) => primary.handle('metrics', read),
      collect: async () => (await primary.ask('collect-metrics', null, COLLECTION_LIMIT_MS)) as Reading[],
    },
    ready: async (ready) => void (await primary.ask('ready', ready, REPORT_LIMIT_MS).catch(() => {})),
    failed: async (reason) => void (await primary.ask('failed', reason, REPORT_LIMIT_MS).catch(() => {})),
    onStop(listener) {
      primary.handle('stop', listener);
      channel.onClosed(listener);
    },
  };
}
