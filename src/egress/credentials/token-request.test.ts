import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type SeenRequest, startStubWebhook } from '../../testing/stub-webhook.ts';
import { startTcp } from '../test-support.ts';
import { CredentialError } from './credential-error.ts';
import {
  CLIENT_SECRET,
  clientOf,
  errorOf,
  startEgress,
  startTokenEndpoint,
  startTokens,
} from './test-support.ts';
import { requestToken } from './token-request.ts';

const { signal } = new AbortController();

describe('requestToken', () => {
  it('sends the client in a header, each part encoded first', async () => {
    await using endpoint = await startTokenEndpoint();
    await using egress = startEgress();
    const client = clientOf(endpoint.url, {
      client_id: 'id:with colon',
      client_secret: 'ä+&=%',
      scope: 'read write',
      audience: 'https://api.example/?a=1&b',
    });
    expect(await requestToken(egress, client, signal)).toEqual({ text: 'token-1', lifetimeMs: 3_540_000 });
    const [request] = endpoint.requests;
    expect(request).toMatchObject({ method: 'POST', url: '/token' });
    expect(request?.headers).toMatchObject({
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from('id%3Awith+colon:%C3%A4%2B%26%3D%25').toString('base64')}`,
    });
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
      grant_type: 'client_credentials',
      scope: 'read write',
      audience: 'https://api.example/?a=1&b',
    });
  });

  it('sends the client in the form where that is wanted', async () => {
    await using endpoint = await startTokenEndpoint();
    await using egress = startEgress();
    const client = clientOf(endpoint.url, { client_authentication: 'body', client_secret: 'a&scope=all' });
    await requestToken(egress, client, signal);
    const [request] = endpoint.requests;
    expect(request?.headers.authorization).toBeUndefined();
    expect(request?.body).toBe(
      'grant_type=client_credentials&client_id=client-1&client_secret=a%26scope%3Dall',
    );
  });

  it.each([
    ['{"access_token":"t","token_type":"bEARER"}'],
    ['{"access_token":"t"}'],
    [`{"access_token":"t","scope":"${'x'.repeat(60_000)}"}`],
  ])('takes a token that others give: %.50s', async (body) => {
    await using endpoint = await startStubWebhook((_request, response) => response.end(body));
    await using egress = startEgress();
    expect((await requestToken(egress, clientOf(endpoint.url), signal)).text).toBe('t');
  });
});

/** Whatever goes wrong: no words of an error hold what was sent, was answered, or says where the endpoint is. */
function expectDiscreet(error: Error): void {
  expect(error.message).toMatch(/token endpoint/);
  const hidden = [CLIENT_SECRET, 'client-1', 'hidden', '/token', '127.0.0.1', 'localhost'];
  const told = [...hidden, Buffer.from(`client-1:${CLIENT_SECRET}`).toString('base64')];
  for (const text of told) expect(error.message).not.toContain(text);
}

const NOT_JSON = "The tool's token endpoint answered with a body that is not a JSON object.";
const NOT_BEARER = "The tool's token endpoint answered with a token that is not a bearer token.";
const NO_TOKEN = "The tool's token endpoint answered with no access token that can be sent.";

describe('a token endpoint that answers', () => {
  const text =
    (body: string, status = 200) =>
    (_request: SeenRequest, response: ServerResponse) => {
      response.writeHead(status, { location: 'http://127.0.0.1/hidden' }).end(body);
    };
  const refused = (status: number, more = '') =>
    `The tool's token endpoint answered with HTTP status ${status}.${more}`;

  it.each<[string, (request: SeenRequest, response: ServerResponse) => void, string]>([
    ['401', text('{"error":"invalid_client","hidden":1}', 401), refused(401)],
    ['500', text('hidden', 500), refused(500)],
    ['a redirect', text('', 307), refused(307, ' Redirects are not followed.')],
    ['HTML', text('<html>hidden</html>'), NOT_JSON],
    ['nothing', text(''), NOT_JSON],
    ['204', text('', 204), NOT_JSON],
    ['broken JSON', text('{"access_token":"hidden"'), NOT_JSON],
    ['a list', text('["hidden"]'), NOT_JSON],
    ['null', text('null'), NOT_JSON],
    ['bytes', (_request, response) => response.end(Buffer.from([0xff, 0xfe, 0])), NOT_JSON],
    ['an error with status 200', text('{"error":"hidden"}'), NO_TOKEN],
    ['a token under another name', text('{"__proto__":{"access_token":"hidden"}}'), NO_TOKEN],
    ['an empty token', text('{"access_token":""}'), NO_TOKEN],
    ['a number', text('{"access_token":42}'), NO_TOKEN],
    ['a header in a token', text('{"access_token":"hidden\\r\\nx-admin: 1"}'), NO_TOKEN],
    ['a line after a token', text('{"access_token":"hidden\\n"}'), NO_TOKEN],
    ['a space in a token', text('{"access_token":"hidden too"}'), NO_TOKEN],
    ['no ASCII', text('{"access_token":"hidden\u00e9"}'), NO_TOKEN],
    ['too long a token', text(`{"access_token":"${'x'.repeat(16_385)}"}`), NO_TOKEN],
    ['a MAC token', text('{"access_token":"hidden","token_type":"mac"}'), NOT_BEARER],
    ['no type that is text', text('{"access_token":"hidden","token_type":["bearer"]}'), NOT_BEARER],
    [
      'what it was sent',
      ({ body, headers }, response) => response.end(headers.authorization + body),
      NOT_JSON,
    ],
  ])('with %s', async (_what, answer, words) => {
    await using endpoint = await startStubWebhook(answer);
    await using egress = startEgress();
    const error = await errorOf(requestToken(egress, clientOf(endpoint.url), signal));
    expect(error).toBeInstanceOf(CredentialError);
    expect(error.message).toBe(words);
    expect(error.cause).toBeUndefined();
    expectDiscreet(error);
    expect(egress.dialled).toHaveLength(1);
  });

  it.each<[string, string, (response: ServerResponse) => void]>([
    ['too much', 'identity', (response) => response.end(`{"access_token":"${'x'.repeat(66_000)}"}`)],
    ['a bomb', 'gzip', (response) => response.end(gzipSync(Buffer.alloc(5_000_000)))],
    [
      'without an end',
      'identity',
      (response) => {
        const pour = () => {
          while (response.write('x'.repeat(1000)));
        };
        response.on('drain', pour).on('close', () => response.off('drain', pour));
        pour();
      },
    ],
  ])('%s', async (_what, encoding, answer) => {
    await using endpoint = await startStubWebhook((_request, response) => {
      response.writeHead(200, { 'content-encoding': encoding });
      answer(response);
    });
    await using egress = startEgress();
    const error = await errorOf(requestToken(egress, clientOf(endpoint.url), signal));
    expect(error).toMatchObject({ name: 'EgressError', reason: 'too_large', bytesSent: false });
    expectDiscreet(error);
  });
});

describe('a token endpoint that does not answer', () => {
  it('is not dialled where the address policy forbids it', async () => {
    await using endpoint = await startTokenEndpoint();
    await using egress = startEgress({ allow: [] });
    for (const url of [endpoint.url, endpoint.url.replace('127.0.0.1', 'localhost'), 'file:///hidden']) {
      const error = await errorOf(requestToken(egress, clientOf(url), signal));
      expect(error).toMatchObject({ name: 'EgressError', reason: 'forbidden', bytesSent: false });
      expectDiscreet(error);
    }
    expect(egress.dialled).toEqual([]);
    expect(endpoint.requests).toEqual([]);
  });

  it('is not dialled where its name leads to a forbidden address', async () => {
    await using egress = startEgress({ allow: [], resolve: async () => ['169.254.169.254'] });
    const error = await errorOf(requestToken(egress, clientOf('http://tokens.example'), signal));
    expect(error).toMatchObject({ reason: 'forbidden' });
    expectDiscreet(error);
    expect(egress.dialled).toEqual([]);
  });

  it('is given up at the deadline when it is silent, and when it drips', async () => {
    await using silent = await startStubWebhook(() => {});
    await using dripping = await startStubWebhook((_request, response) => {
      const drip = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(drip));
    });
    await using tokens = startTokens({ timeoutMs: 40 });
    for (const { url } of [silent, dripping]) {
      const error = await errorOf(tokens.get(clientOf(url)));
      expect(error).toMatchObject({ name: 'EgressError', reason: 'timeout', bytesSent: false });
      expectDiscreet(error);
    }
  });

  it('has gone, breaks off, or speaks another protocol', async () => {
    const gone = await startTokenEndpoint();
    await gone[Symbol.asyncDispose]();
    await using breaking = await startTcp((socket) => socket.destroy());
    await using foreign = await startTcp((socket) => socket.end('SSH-2.0-hidden\r\n'));
    await using egress = startEgress();
    const cases = [
      [gone, 'unreachable'],
      [breaking, 'reset'],
      [foreign, 'invalid_response'],
    ] as const;
    for (const [{ url }, reason] of cases) {
      const error = await errorOf(requestToken(egress, clientOf(url), signal));
      expect(error).toMatchObject({ name: 'EgressError', reason, bytesSent: false });
      expectDiscreet(error);
    }
  });
});
