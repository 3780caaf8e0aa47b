import { getOwn, isJsonObject, type JsonObject } from '../json.ts';
import type { Authentication } from './authentication-definition.ts';
import { SECRET_MASK } from './tool.ts';

/** Secrets of a definition by the JSON pointer (RFC 6901) of their place in it. */
export type Secrets = Readonly<Record<string, string>>;

/** A definition without its secrets. `kept` lists the places where the mask stood: they keep what is stored. */
export interface SplitDefinition {
  readonly definition: JsonObject;
  readonly secrets: Secrets;
  readonly kept: readonly string[];
}

const SECRET_KEYS: Readonly<Record<Authentication['type'], readonly string[]>> = {
  bearer: ['token'],
  basic: ['password'],
  api_key: ['value'],
  oauth2_client_credentials: ['client_secret'],
  standard_webhooks: ['secret', 'previous_secret'],
};

/** Takes the secrets out of a checked definition and leaves the mask in their places. */
export function splitSecrets(definition: JsonObject): SplitDefinition {
  const execution = definition.execution;
  const authentication = isJsonObject(execution) ? execution.authentication : undefined;
  if (!isJsonObject(execution) || !isJsonObject(authentication)) return { definition, secrets: {}, kept: [] };

  const secrets: Record<string, string> = {};
  const kept: string[] = [];
  const masked: JsonObject = { ...authentication };
  for (const key of getOwn<readonly string[]>(SECRET_KEYS, String(authentication.type)) ?? []) {
    const secret = authentication[key];
    if (typeof secret !== 'string') continue;
    const pointer = `/execution/authentication/${key}`;
    if (secret === SECRET_MASK) kept.push(pointer);
    else secrets[pointer] = secret;
    masked[key] = SECRET_MASK;
  }
  return {
    definition: { ...definition, execution: { ...execution, authentication: masked } },
    secrets,
    kept,
  };
}
