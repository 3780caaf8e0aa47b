import { serveParent } from '../child.ts';

/** What a peer says when it is ready. */
export interface PeerReady {
  readonly port: number;
}

/** What a peer answers when it is asked what it has used: CPU time, user and system, in milliseconds. */
export interface PeerUsage {
  readonly cpuMs: number;
}

/** Within a peer: tells its port, and from then on what it has used. */
export function servePeer(port: number): void {
  serveParent<'usage', PeerUsage>({ port } satisfies PeerReady, () => {
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1000 };
  });
}
