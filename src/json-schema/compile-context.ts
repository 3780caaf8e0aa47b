import type { JsonObject, JsonValue } from '../json.ts';
import { getOwn, isJsonObject } from '../json.ts';
import type { SchemaIndex } from './index-schema.ts';
import { nodeOf } from './index-schema.ts';
import type { PatternStore } from './pattern-store.ts';
import type { SchemaNode } from './schema-node.ts';

/** What the keywords of one schema are compiled with. */
export interface CompileContext {
  readonly index: SchemaIndex;
  readonly assertFormats: boolean;
  /** Whether some `$dynamicRef` asks for the dynamic scope. */
  readonly hasDynamicScope: boolean;
  readonly patterns: PatternStore;
}

/** A schema object that is being compiled. Its keywords have the form that the dialect asks for. */
export interface Keywords {
  readonly schema: JsonObject;
  readonly node: SchemaNode;
  readonly context: CompileContext;
}

export function numberOf({ schema }: Keywords, keyword: string): number | undefined {
  const value = schema[keyword];
  return typeof value === 'number' ? value : undefined;
}

export function stringOf({ schema }: Keywords, keyword: string): string | undefined {
  const value = schema[keyword];
  return typeof value === 'string' ? value : undefined;
}

export function listOf({ schema }: Keywords, keyword: string): readonly JsonValue[] | undefined {
  const value = schema[keyword];
  return Array.isArray(value) ? value : undefined;
}

export function stringsOf(keywords: Keywords, keyword: string): readonly string[] | undefined {
  return listOf(keywords, keyword)?.filter((item) => typeof item === 'string');
}

export function membersOf({ schema }: Keywords, keyword: string): readonly [string, JsonValue][] {
  const value = schema[keyword];
  return isJsonObject(value) ? Object.entries(value) : [];
}

/** The schema under a keyword. */
export function schemaOf({ schema, context }: Keywords, keyword: string): SchemaNode | undefined {
  const value = getOwn(schema, keyword);
  return value === undefined ? undefined : nodeOf(context.index, value);
}

/** The list of schemas under a keyword. */
export function schemasOf(keywords: Keywords, keyword: string): SchemaNode[] | undefined {
  return listOf(keywords, keyword)?.map((item) => nodeOf(keywords.context.index, item));
}
