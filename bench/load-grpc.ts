import { once } from 'node:events';
import { connect } from 'node:http2';
import type { Connections, HttpRequest, LoadJob } from './load-job.ts';

/** Opens HTTP/2 connections for unary gRPC calls, straight on Node's streams, so that the client costs little. */
export async function connectGrpc({ origin, connections, status }: LoadJob): Promise<Connections> {
  const sessions = Array.from({ length: connections }, () => connect(origin));
  // A connection that breaks fails the calls on it; they tell.
  for (const session of sessions) session.on('error', () => undefined);
  await Promise.all(sessions.map((session) => once(session, 'connect')));
  return {
    call: ({ method, path, headers, body }: HttpRequest, connection) =>
      new Promise((resolve, reject) => {
        const stream = sessions[connection]?.request({ ...headers, ':method': method, ':path': path });
        if (!stream) throw new Error('there is no such connection');
        let httpStatus: number | undefined;
        let grpcStatus: string | undefined;
        let grpcMessage: string | undefined;
        let bytes = 0;
        const readTrailers = (trailers: Record<string, string | string[] | number | undefined>) => {
          grpcStatus ??= trailers['grpc-status']?.toString();
          grpcMessage ??= trailers['grpc-message']?.toString();
        };
        stream.on('response', (responseHeaders) => {
          httpStatus = responseHeaders[':status'];
          readTrailers(responseHeaders);
        });
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        stream.on('trailers', readTrailers);
        stream.on('error', reject);
        stream.on('close', () => {
          if (httpStatus === status && grpcStatus === '0' && bytes >= 5) resolve();
          else reject(new Error(`${path}: HTTP ${httpStatus}, gRPC ${grpcStatus} ${grpcMessage ?? ''}`));
        });
        stream.end(body ?? undefined);
      }),
    async close() {
      await Promise.all(sessions.map((session) => new Promise<void>((done) => session.close(done))));
    },
  };
}
