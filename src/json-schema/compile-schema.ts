import type { JsonValue } from '../json.ts';
import { getOwn, isJsonObject } from '../json.ts';
import { exhausted } from './budget.ts';
import { checkChains } from './check-chains.ts';
import type { CompileContext } from './compile-context.ts';
import { compileNode } from './compile-node.ts';
import type { Dialect } from './dialects.ts';
import { dialectOf, draft202012 } from './dialects.ts';
import type { Fault } from './fault.ts';
import type { SchemaIndex } from './index-schema.ts';
import { addDocument, nodeOf } from './index-schema.ts';
import { schemaLimits } from './limits.ts';
import { metaSchemas } from './meta-schemas/meta-schemas.ts';
import { PatternStore } from './pattern-store.ts';
import { resolveReferences } from './resolve-references.ts';
import { apply, Run } from './run.ts';
import { SchemaError } from './schema-error.ts';
import type { SchemaNode } from './schema-node.ts';
import { show } from './words.ts';

export type { Fault } from './fault.ts';
export { describeFault } from './fault.ts';
export { SchemaError } from './schema-error.ts';

/** Where a schema without an `$id` stands. */
const HOME = 'schema:///';

export interface CompiledSchema {
  /**
   * Why the instance is not valid: none if it is, at most 10 faults otherwise. Never throws for a JSON value, however
   * large or deep: one that takes too long to check (some hundredths of a second) is not valid, and a fault says so.
   */
  validate(instance: unknown): Fault[];
}

export interface CompileOptions {
  /** Whether `format` is checked, and not only a note. True unless given. */
  readonly assertFormats?: boolean;
  /** Further documents that `$ref` may lead to, by their absolute URI. The standard's own schemas are always there. */
  readonly remotes?: ReadonlyMap<string, JsonValue>;
}

/**
 * Compiles a JSON Schema of draft 2020-12, or of draft-07 if `$schema` says so. The schema may come from anyone: nothing
 * is fetched, no code is generated, and `schemaLimits` bounds all work. Throws SchemaError if the schema is not one of
 * its dialect, refers to what is not in it, holds a pattern that can't be used, or exceeds a limit.
 */
export function compileSchema(schema: JsonValue, options: CompileOptions = {}): CompiledSchema {
  checkSize(schema);
  const index: SchemaIndex = { resources: new Map(), nodes: new Map(), references: [] };
  addDocument(index, schema, HOME, dialectOfDocument(schema));
  resolveReferences(index, (uri) => metaSchemas.get(uri) ?? options.remotes?.get(uri));
  checkChains(index);
  const nodes = [...index.nodes.values()];
  const context: CompileContext = {
    index,
    assertFormats: options.assertFormats ?? true,
    hasDynamicScope: nodes.some((node) => node.references.get('$dynamicRef')?.anchor !== undefined),
    patterns: new PatternStore(),
  };
  for (const node of nodes) compileNode(node, context);
  const root = nodeOf(index, schema);
  return { validate: (instance) => validate(root, instance) };
}

function validate(root: SchemaNode, instance: unknown): Fault[] {
  const run = new Run();
  try {
    if (apply(root, instance, run)) return [];
    run.faults = [];
    apply(root, instance, run);
    return run.faults;
  } catch (error) {
    if (error !== exhausted) throw error;
    return run.faults?.length ? run.faults : [tooMuchWork];
  }
}

const tooMuchWork: Fault = {
  pointer: '',
  expected: 'a value that can be checked within the limits',
  actual: 'one that is too large or too deeply nested, so that the check took too long',
};

function dialectOfDocument(schema: JsonValue): Dialect {
  const uri = isJsonObject(schema) ? getOwn(schema, '$schema') : undefined;
  if (uri === undefined) return draft202012;
  const dialect = typeof uri === 'string' ? dialectOf(uri) : undefined;
  if (dialect !== undefined) return dialect;
  throw new SchemaError('/$schema', `expected draft 2020-12 or draft-07 of JSON Schema, got ${show(uri)}`);
}

/** Walks the whole schema once, so that nothing after it can nest too deeply. */
function checkSize(schema: JsonValue): void {
  let values = 0;
  const visit = (value: JsonValue, depth: number): void => {
    values++;
    if (depth > schemaLimits.depth)
      throw new SchemaError('', `the schema nests more than ${schemaLimits.depth} deep`);
    if (values > schemaLimits.values)
      throw new SchemaError('', `the schema holds more than ${schemaLimits.values} values`);
    if (typeof value !== 'object' || value === null) return;
    for (const member of Object.values(value)) visit(member, depth + 1);
  };
  visit(schema, 0);
}
