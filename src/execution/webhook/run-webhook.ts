import { isUtf8 } from 'node:buffer';
import type { Database } from '../db/database.ts';
import { type EgressClient, EgressError, type EgressResponse } from '../egress/egress-client.ts';
import type { Encryption } from '../encryption.ts';
import type { JsonObject } from '../json.ts';
import type { Secrets } from '../tools/credentials.ts';
import { openSecrets } from '../tools/seal-definition.ts';
import { SECRET_MASK, type Tool } from '../tools/tool.ts';
import { findSecrets } from '../tools/tool-store.ts';
import { CallError, type CallErrorCode, type CallScope } from './call.ts';

/** How a tool that is somebody's HTTP endpoint is called, as its definition says it. */
export interface WebhookExecution {
  readonly type: 'webhook';
  readonly url: string;
  readonly authentication?: { readonly type: 'bearer' };
  readonly timeout_ms?: number;
}

interface WebhookContext {
  readonly database: Database;
  readonly encryption: Encryption;
  readonly egress: EgressClient;
  readonly limits: { readonly responseBytes: number };
}

/** Secrets shorter than this are not looked for in answers: they would be found everywhere. */
const MIN_MASKED_LENGTH = 4;

const CODES: Record<EgressError['reason'], CallErrorCode> = {
  forbidden: 'forbidden_address',
  unresolvable: 'unreachable',
  unreachable: 'unreachable',
  reset: 'unreachable',
  timeout: 'timeout',
  canceled: 'canceled',
  too_large: 'response_too_large',
  invalid_response: 'invalid_response',
};

/**
 * Posts the arguments as JSON to the tool's URL, with its credential.
 *
 * @returns the answer as JSON text: JSON as it came, digit for digit; other text as a string; `null` for nothing.
 * @throws CallError whose words hold neither the URL's query, nor a credential, nor an address.
 */
export async function runWebhook(
  context: WebhookContext,
  tool: Tool,
  execution: WebhookExecution,
  input: JsonObject,
  { signal, requestId, budget }: CallScope,
): Promise<string> {
  const secrets = execution.authentication
    ? openSecrets(context, tool.id, await findSecrets(context.database, tool.id))
    : {};
  let response: EgressResponse;
  try {
    response = await context.egress.request({
      url: execution.url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/*;q=0.9, */*;q=0.1',
        'user-agent': 'tool-service',
        'x-request-id': requestId,
        ...authorization(execution, secrets),
      },
      body: JSON.stringify(input),
      signal,
      maxResponseBytes: Math.max(1, Math.min(context.limits.responseBytes, budget.bytes)),
    });
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    throw new CallError(CODES[error.reason], `${error.message}.`, { cause: error });
  }
  // Before anything is made of it: other calls may have used up the budget meanwhile.
  if (response.body.length > budget.bytes) {
    throw new CallError('response_too_large', 'The outputs of all calls together are too large.');
  }
  return readOutput(response, secrets);
}

function authorization(execution: WebhookExecution, secrets: Secrets): Record<string, string> {
  if (!execution.authentication) return {};
  const token = secrets['/execution/authentication/token'];
  if (token === undefined) throw new CallError('internal', 'The credential of this tool is missing.');
  return { authorization: `Bearer ${token}` };
}

function readOutput(response: EgressResponse, secrets: Secrets): string {
  const { status, body } = response;
  if (status < 200 || status > 299) {
    const redirect = status >= 300 && status < 400 ? ' Redirects are not followed.' : '';
    throw new CallError('upstream_error', `The upstream answered with HTTP status ${status}.${redirect}`);
  }
  if (status === 204 || body.length === 0) return 'null';
  if (!isUtf8(body)) {
    throw new CallError('invalid_response', 'The upstream answered with bytes that are not UTF-8 text.');
  }
  const text = maskSecrets(body.toString('utf8').replace(/^\uFEFF/, ''), secrets);
  if (isJson(text)) return text;
  if (isJsonType(response)) {
    throw new CallError('invalid_response', 'The upstream answered with a body that is not valid JSON.');
  }
  return JSON.stringify(text);
}

/** An upstream that gives back what it was sent must not show a caller the credential. */
function maskSecrets(text: string, secrets: Secrets): string {
  let masked = text;
  for (const secret of Object.values(secrets)) {
    if (secret.length < MIN_MASKED_LENGTH) continue;
    masked = masked.replace(spellingsOf(secret), SECRET_MASK);
  }
  return masked;
}

/** A secret in every way that JSON text may spell it: each character as it is, after a backslash, or as \uXXXX. */
function spellingsOf(secret: string): RegExp {
  const spellings = Array.from(secret, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    const hex = code.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
    return `(?:\\\\?${character.replace(/[^A-Za-z0-9]/, '\\$&')}|\\\\u${hex})`;
  });
  return new RegExp(spellings.join(''), 'g');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isJsonType({ headers }: EgressResponse): boolean {
  const type = Object.hasOwn(headers, 'content-type') ? String(headers['content-type']) : '';
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(type);
}
