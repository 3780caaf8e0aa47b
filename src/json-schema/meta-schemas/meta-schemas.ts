import type { JsonValue } from '../../json.ts';
import draft07 from './draft-07.json' with { type: 'json' };
import draft202012 from './draft-2020-12.json' with { type: 'json' };

/**
 * The schemas of schemas and their vocabularies, by their URI, so that a schema may ask for a schema with `$ref`. They
 * are those of json-schema.org without titles, comments and defaults.
 */
export const metaSchemas: ReadonlyMap<string, JsonValue> = new Map<string, JsonValue>(
  [draft07, ...draft202012].map((schema) => [schema.$id.replace(/#$/, ''), schema]),
);
