import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * How a proxy treats the connections that it has and those that come:
 * - `pass`: forwards;
 * - `refuse`: ends those it has, and does not listen;
 * - `reset`: resets those it has, and whoever comes;
 * - `stall`: accepts, and forwards nothing; what was sent meanwhile arrives when it passes again;
 * - `stall-answers`: the same for what the server sends, alone;
 * - `swallow`: what the server sends is lost.
 */
export type ProxyMode = 'pass' | 'refuse' | 'reset' | 'stall' | 'stall-answers' | 'swallow';

/** A way to a server of this machine that can be made a bad one. Close it by scope: `await using`. */
export interface TcpProxy extends AsyncDisposable {
  /** The same for as long as the proxy is there. */
  readonly port: number;
  /** How many connections go through it now. */
  readonly connections: number;
  setMode(mode: ProxyMode): Promise<void>;
  /** Holds up what is forwarded from now on, either way. */
  setDelay(delayMs: number): void;
  /** Resets the connections it has. */
  dropConnections(): void;
}

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
}

/** Listens on a free port of loopback, and forwards to `targetPort` there. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let mode: ProxyMode = 'pass';
  let delayMs = 0;
  let server: Server | undefined;
  const port = await listen(0);

  async function listen(wanted: number): Promise<number> {
    server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    server.listen(wanted, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function stopListening(): Promise<void> {
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    server = undefined;
    for (const { client } of pairs) client.destroy();
    await closed;
  }

  function accept(client: Socket): void {
    client.on('error', () => {});
    if (mode === 'reset') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    upstream.on('error', () => {});
    const pair = { client, upstream };
    pairs.add(pair);
    client.once('close', () => {
      pairs.delete(pair);
      upstream.destroy();
    });
    upstream.once('close', () => client.destroy());
    forward(client, upstream, () => mode === 'stall');
    forward(upstream, client, isHoldingAnswers, () => mode === 'swallow');
  }

  function forward(from: Socket, to: Socket, isHeld: () => boolean, isLost = () => false): void {
    const later = (work: () => void) => {
      if (delayMs === 0) work();
      else setTimeout(work, delayMs);
    };
    from.on('data', (chunk) => {
      if (isLost()) return;
      later(() => {
        if (!to.destroyed && !to.write(chunk)) from.pause();
      });
    });
    from.on('end', () => later(() => to.end()));
    to.on('drain', () => {
      if (!isHeld()) from.resume();
    });
    if (isHeld()) from.pause();
  }

  function isHoldingAnswers(): boolean {
    return mode === 'stall' || mode === 'stall-answers';
  }

  function dropConnections(): void {
    for (const { client, upstream } of pairs) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  }

  return {
    port,
    get connections() {
      return pairs.size;
    },
    async setMode(next) {
      mode = next;
      if (mode === 'refuse') return stopListening();
      if (!server) await listen(port);
      if (mode === 'reset') dropConnections();
      for (const { client, upstream } of pairs) {
        client[mode === 'stall' ? 'pause' : 'resume']();
        upstream[isHoldingAnswers() ? 'pause' : 'resume']();
      }
    },
    setDelay(milliseconds) {
      delayMs = milliseconds;
    },
    dropConnections,
    [Symbol.asyncDispose]: stopListening,
  };
}
