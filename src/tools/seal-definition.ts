import { ServiceError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
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
        throw invalidMask(place, `'${SECRET_MASK}' keeps a stored secret, but none is stored here`);
      const moved = findMovedUrl(definition, stored && (JSON.parse(stored.definition) as JsonObject));
      if (moved !== undefined) {
        throw invalidMask(
          place,
          `a stored secret is not sent to another origin: give the secret with the new '${moved}'`,
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

/** The key of the first URL that a secret would be sent to at another origin than before. */
function findMovedUrl(definition: JsonObject, stored: JsonObject | undefined): string | undefined {
  const origins = originsOf(definition);
  const before = stored && originsOf(stored);
  return (['url', 'token_url'] as const).find((key) => origins[key] !== before?.[key]);
}

function originsOf(definition: JsonObject): { url: string | undefined; token_url: string | undefined } {
  const { url, authentication } = definition.execution as JsonObject;
  const tokenUrl = isJsonObject(authentication) ? authentication.token_url : undefined;
  return { url: originOf(url), token_url: originOf(tokenUrl) };
}

function originOf(url: JsonValue | undefined): string | undefined {
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).origin : undefined;
}

function invalidMask(place: string, words: string): ServiceError {
  const message = `Authentication '${place.slice(place.lastIndexOf('/') + 1)}': ${words}.`;
  return new ServiceError('invalid_argument', `definition: ${message}`, {
    fields: { definition: [message] },
  });
}
