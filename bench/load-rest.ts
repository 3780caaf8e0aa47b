import { Pool } from 'undici';
import type { Connections, HttpRequest, LoadJob } from './load-job.ts';

/** Opens a pool of kept-alive HTTP/1.1 connections, a call at a time on each. */
export async function connectRest({ origin, connections, status: wanted }: LoadJob): Promise<Connections> {
  const pool = new Pool(origin, { connections, pipelining: 1, keepAliveTimeout: 60_000 });
  return {
    async call({ method, path, headers, body }: HttpRequest) {
      const response = await pool.request({ method, path, headers, body });
      if (response.statusCode !== wanted) {
        throw new Error(`${method} ${path}: HTTP ${response.statusCode} ${await response.body.text()}`);
      }
      await response.body.dump();
    },
    close: () => pool.close(),
  };
}
