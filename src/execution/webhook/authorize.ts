import {
  type AuthorizedRequest,
  type Credential,
  CredentialError,
  type OutgoingRequest,
  readCredential,
} from '../../egress/credentials/credentials.ts';
import { EgressError } from '../../egress/egress-client.ts';
import type { JsonObject } from '../../json.ts';
import type { Authentication } from '../../tools/definition.ts';
import { openSecrets } from '../../tools/seal-definition.ts';
import type { Tool } from '../../tools/tool.ts';
import { findSecretsOfVersion } from '../../tools/tool-store.ts';
import { CallError } from '../call.ts';
import type { ExecutionContext } from '../context.ts';
import { notSent } from '../enter-bulkheads.ts';
import { brokenAttempt } from './failed-attempt.ts';

/** The credential of a tool, with its secrets. */
export async function findCredential(
  context: Pick<ExecutionContext, 'database' | 'encryption'>,
  tool: Tool,
  authentication: Authentication,
): Promise<Credential> {
  const sealed = await findSecretsOfVersion(context.database, tool);
  if (sealed === undefined) {
    // The secret of now may be for another URL than that of the definition at hand.
    throw new CallError('tool_not_found', 'The tool was changed just now. Call again.', {
      mayHaveRun: false,
    });
  }
  const secrets = openSecrets(context, tool.id, sealed);
  const credential = readCredential(authentication as JsonObject, secrets);
  if (credential) return credential;
  throw new CallError('internal', 'The credential of this tool is missing.', { mayHaveRun: false });
}

/**
 * Puts the credential into a request.
 *
 * @throws CallError where a token has to be fetched first, and is not to be had.
 */
export async function authorize(
  { credentials }: Pick<ExecutionContext, 'credentials'>,
  request: OutgoingRequest,
  credential: Credential,
  options: { scope: string; messageId: string; signal: AbortSignal },
): Promise<AuthorizedRequest> {
  try {
    return await credentials.authorize(request, credential, options);
  } catch (error) {
    if (options.signal.aborted) throw notSent(options.signal);
    if (error instanceof CredentialError) {
      throw new CallError('upstream_error', error.message, { cause: error, mayHaveRun: false });
    }
    if (!(error instanceof EgressError)) throw error;
    const { code, message } = brokenAttempt(error, true).error;
    throw new CallError(code, message, { cause: error, mayHaveRun: false });
  }
}
