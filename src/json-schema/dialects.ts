/** The form that a keyword's value must have, as the dialect's meta-schema asks. */
export type Shape =
  | 'any'
  | 'anchor'
  | 'boolean'
  | 'booleans'
  | 'count'
  | 'dependencies'
  | 'identifier'
  | 'list'
  | 'number'
  | 'positive'
  | 'reference'
  | 'resource-identifier'
  | 'schema'
  | 'schema-map'
  | 'schema-or-schemas'
  | 'schemas'
  | 'string'
  | 'string-lists'
  | 'strings'
  | 'types';

export interface Dialect {
  readonly name: '2020-12' | 'draft-07';
  /** Keywords that are not named here are ignored. */
  readonly keywords: ReadonlyMap<string, Shape>;
}

const COMMON: [string, Shape][] = [
  ['$comment', 'string'],
  ['$ref', 'reference'],
  ['$schema', 'identifier'],
  ['additionalProperties', 'schema'],
  ['allOf', 'schemas'],
  ['anyOf', 'schemas'],
  ['const', 'any'],
  ['contains', 'schema'],
  ['contentEncoding', 'string'],
  ['contentMediaType', 'string'],
  ['default', 'any'],
  ['definitions', 'schema-map'],
  ['dependencies', 'dependencies'],
  ['description', 'string'],
  ['else', 'schema'],
  ['enum', 'list'],
  ['examples', 'list'],
  ['exclusiveMaximum', 'number'],
  ['exclusiveMinimum', 'number'],
  ['format', 'string'],
  ['if', 'schema'],
  ['maxItems', 'count'],
  ['maxLength', 'count'],
  ['maxProperties', 'count'],
  ['maximum', 'number'],
  ['minItems', 'count'],
  ['minLength', 'count'],
  ['minProperties', 'count'],
  ['minimum', 'number'],
  ['multipleOf', 'positive'],
  ['not', 'schema'],
  ['oneOf', 'schemas'],
  ['pattern', 'string'],
  ['patternProperties', 'schema-map'],
  ['properties', 'schema-map'],
  ['propertyNames', 'schema'],
  ['readOnly', 'boolean'],
  ['required', 'strings'],
  ['then', 'schema'],
  ['title', 'string'],
  ['type', 'types'],
  ['uniqueItems', 'boolean'],
  ['writeOnly', 'boolean'],
];

/**
 * https://json-schema.org/draft/2020-12. `dependencies` and `definitions` are of older drafts, but its meta-schema still
 * knows them, and who writes them means them.
 */
export const draft202012: Dialect = {
  name: '2020-12',
  keywords: new Map<string, Shape>([
    ...COMMON,
    ['$anchor', 'anchor'],
    ['$defs', 'schema-map'],
    ['$dynamicAnchor', 'anchor'],
    ['$dynamicRef', 'reference'],
    ['$id', 'resource-identifier'],
    ['$vocabulary', 'booleans'],
    ['contentSchema', 'schema'],
    ['dependentRequired', 'string-lists'],
    ['dependentSchemas', 'schema-map'],
    ['deprecated', 'boolean'],
    ['items', 'schema'],
    ['maxContains', 'count'],
    ['minContains', 'count'],
    ['prefixItems', 'schemas'],
    ['unevaluatedItems', 'schema'],
    ['unevaluatedProperties', 'schema'],
  ]),
};

/** https://json-schema.org/draft-07 */
export const draft07: Dialect = {
  name: 'draft-07',
  keywords: new Map<string, Shape>([
    ...COMMON,
    ['$id', 'identifier'],
    ['additionalItems', 'schema'],
    ['items', 'schema-or-schemas'],
  ]),
};

const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ['//json-schema.org/draft/2020-12/schema', draft202012],
  ['//json-schema.org/draft-07/schema', draft07],
]);

/** The dialect that `$schema` names, or undefined if it is none of ours. */
export function dialectOf(uri: string): Dialect | undefined {
  return DIALECTS.get(uri.replace(/^https?:/, '').replace(/#$/, ''));
}
