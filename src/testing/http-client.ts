import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';

/** What a server said, and its body as JSON where it is that. */
export interface Answer<T> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Undefined where the body is not JSON. */
  readonly json: T;
}

export interface SendOptions {
  /** Text and bytes go out as they are, all else as JSON. */
  readonly body?: unknown;
  /** Over those that a token and a body bring; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Instead of the client's own; null sends none. */
  readonly token?: string | null;
  /** Breaks off the connection. */
  readonly signal?: AbortSignal;
}

/** Sends one request. */
export type Send = <T = unknown>(method: string, path: string, options?: SendOptions) => Promise<Answer<T>>;

/** A client of HTTP/1.1 that shares no code with the service. Its requests carry `token`, unless they say otherwise. */
export function createHttpClient(origin: string, token: string | null = null): Send {
  return <T>(method: string, path: string, options: SendOptions = {}) =>
    new Promise<Answer<T>>((resolve, reject) => {
      const bytes = encode(options.body);
      const headers = headersOf(options, bytes, token);
      const outgoing = request(`${origin}${path}`, {
        method,
        headers,
        ...(options.signal ? { signal: options.signal } : {}),
      });
      outgoing.once('error', reject);
      outgoing.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: parse(text) as T,
          });
        });
      });
      outgoing.end(bytes);
    });
}

/** An answer's status and body, to be compared to the byte. */
export function said({ status, text }: Pick<Answer<unknown>, 'status' | 'text'>): [number, string] {
  return [status, text];
}

/** The target of an answer's `Link` header, if it has one that leads to the next page. */
export function nextLink({ headers }: Pick<Answer<unknown>, 'headers'>): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec([headers.link].flat().join())?.[1];
}

function headersOf(
  options: SendOptions,
  bytes: Buffer | undefined,
  ownToken: string | null,
): OutgoingHttpHeaders {
  const token = options.token === undefined ? ownToken : options.token;
  const headers: Record<string, string | undefined> = {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(bytes === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(bytes.length) }),
    ...options.headers,
  };
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

function encode(body: unknown): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
