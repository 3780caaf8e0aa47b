import { ServiceError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { ToolsContext } from './context.ts';
import { type Secrets, splitSecrets } from './credentials.ts';
import { SECRET_MASK } from './tool.ts';
import type { ToolRecord } from './tool-change-store.ts';

/** What a tool had before the definition at hand: its definition's text and its encrypted secrets. */
type Stored = Pick<ToolRecord, 'definition' | 'secrets'>;

/**
 * Makes of a checked definition what is stored: text without secrets, the secrets encrypted for this tool, and the
 * pointer of an internal function apart. A mask keeps the secret that is stored at its place.
 *
 * @throws ServiceError `invalid_argument` for a mask that keeps nothing, or that would send a stored secret to another
 * origin.
 */
export function sealDefinition(
  context: Pick<ToolsContext, 'encryption'>,
  toolId: string,
  definition: JsonObject,
  stored: Stored | undefined,
): Pick<ToolRecord, 'definition' | 'secrets' | 'pointer'> {
  const split = splitSecrets(definition);
  const secrets: Record<string, string> = { ...split.secrets };
  if (split.kept.length > 0) {
    const old = openSecrets(context, toolId, stored?.secrets ?? null);
    for (const place of split.kept) {
      const secret = Object.hasOwn(old, place) ? old[place] : undefined;
      if (secret === undefined)
        throw invalidMask(`'${SECRET_MASK}' keeps a stored secret, but none is stored here`);
      if (!stored || originOf(definition) !== originOf(JSON.parse(stored.definition) as JsonObject)) {
        throw invalidMask(
          "a stored secret is not sent to another origin: give the secret with the new 'url'",
        );
      }
      secrets[place] = secret;
    }
  }
  const { execution, ...rest } = split.definition as JsonObject & { execution: JsonObject };
  const { pointer, ...publicExecution } = execution;
  const internal = execution.type === 'internal_function' && typeof pointer === 'string';
  return {
    definition: JSON.stringify(internal ? { ...rest, execution: publicExecution } : split.definition),
    pointer: internal ? pointer : null,
    secrets:
      Object.keys(secrets).length === 0 ? null : context.encryption.encrypt(JSON.stringify(secrets), toolId),
  };
}

/** The secrets of a tool as they were given, by their places in its definition. */
export function openSecrets(
  context: Pick<ToolsContext, 'encryption'>,
  toolId: string,
  sealed: string | null,
): Secrets {
  return sealed === null ? {} : (JSON.parse(context.encryption.decrypt(sealed, toolId)) as Secrets);
}

function originOf(definition: JsonObject): string | undefined {
  const { url } = definition.execution as JsonObject;
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).origin : undefined;
}

function invalidMask(words: string): ServiceError {
  const message = `Authentication 'token': ${words}.`;
  return new ServiceError('invalid_argument', `definition: ${message}`, {
    fields: { definition: [message] },
  });
}
