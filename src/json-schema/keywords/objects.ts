import { isJsonObject } from '../../json.ts';
import type { Keywords } from '../compile-context.ts';
import { listOf, membersOf, numberOf, schemaOf, stringsOf } from '../compile-context.ts';
import { nodeOf } from '../index-schema.ts';
import { escapeToken } from '../json-pointer.ts';
import type { Pattern } from '../pattern/pattern.ts';
import type { Run } from '../run.ts';
import { apply, applyAt, attempt } from '../run.ts';
import type { Check, SchemaNode } from '../schema-node.ts';
import { nothing } from '../schema-node.ts';
import { summarize, typesOf } from '../summarize.ts';
import { count, describe, list, show, typeWords } from '../words.ts';

/** The keywords for objects (2020-12 Core, sections 10.2.2.4 and 10.3.2, and Validation, section 6.5). */
export function compileObjects(keywords: Keywords): (Check | undefined)[] {
  return [
    required(keywords),
    size(keywords, 'minProperties', 'at least', (length, limit) => length >= limit),
    size(keywords, 'maxProperties', 'at most', (length, limit) => length <= limit),
    propertyNames(keywords),
    members(keywords),
    ...dependencies(keywords),
  ];
}

function required(keywords: Keywords): Check | undefined {
  const names = stringsOf(keywords, 'required');
  if (names === undefined || names.length === 0) return undefined;
  const properties = propertiesOf(keywords);
  const expected = (name: string) => {
    const types = typesOf(properties.get(name));
    return types === undefined ? 'a value' : typeWords(types);
  };
  return (instance, run) => !isJsonObject(instance) || hasAll(names, instance, run, expected);
}

function hasAll(
  names: readonly string[],
  instance: object,
  run: Run,
  expected: (name: string) => string,
): boolean {
  run.spend(2 * names.length);
  let valid = true;
  for (const name of names) {
    if (Object.hasOwn(instance, name)) continue;
    if (run.isTold) return false;
    valid = run.failMember(
      name,
      () => expected(name),
      () => 'nothing',
    );
  }
  return valid;
}

function size(
  keywords: Keywords,
  keyword: string,
  words: string,
  holds: (length: number, limit: number) => boolean,
): Check | undefined {
  const limit = numberOf(keywords, keyword);
  if (limit === undefined) return undefined;
  const expected = () => `an object of ${words} ${count(limit, 'property', 'properties')}`;
  return (instance, run) => {
    if (!isJsonObject(instance)) return true;
    const { length } = Object.keys(instance);
    run.spend(length);
    return holds(length, limit) || run.fail(instance, expected, () => `one of ${length}`);
  };
}

function propertyNames(keywords: Keywords): Check | undefined {
  const node = schemaOf(keywords, 'propertyNames');
  if (node === undefined) return undefined;
  return (instance, run) => {
    if (!isJsonObject(instance)) return true;
    const { evaluated } = run;
    run.evaluated = undefined;
    const wrong = Object.keys(instance).filter((key) => !attempt(node, key, run));
    run.evaluated = evaluated;
    const expected = () =>
      `no property of this name (a name must be ${summarize(node) ?? 'as the schema asks'})`;
    for (const key of wrong) run.failMember(key, expected, () => describe(instance[key]));
    return wrong.length === 0;
  };
}

function propertiesOf(keywords: Keywords): Map<string, SchemaNode> {
  const { index } = keywords.context;
  return new Map(membersOf(keywords, 'properties').map(([name, schema]) => [name, nodeOf(index, schema)]));
}

function patternPropertiesOf(keywords: Keywords): [Pattern, SchemaNode][] {
  const { context, node } = keywords;
  return membersOf(keywords, 'patternProperties').map(([source, schema]) => {
    const pointer = `${node.pointer}/patternProperties/${escapeToken(source)}`;
    return [context.patterns.compile(source, pointer), nodeOf(context.index, schema)];
  });
}

/** `properties`, `patternProperties` and `additionalProperties`. */
function members(keywords: Keywords): Check | undefined {
  const named = propertiesOf(keywords);
  const patterns = patternPropertiesOf(keywords);
  const additional = schemaOf(keywords, 'additionalProperties');
  if (named.size === 0 && patterns.length === 0 && additional === undefined) return undefined;

  function member(key: string, value: unknown, run: Run): boolean {
    const node = named.get(key);
    let isKnown = node !== undefined;
    let valid = node === undefined || applyAt(node, key, value, run);
    for (const [pattern, schema] of patterns) {
      if (!pattern.test(key, run)) continue;
      isKnown = true;
      if (!applyAt(schema, key, value, run)) valid = false;
    }
    if (!isKnown && additional === nothing)
      return run.failMember(key, unknownArgument, () => describe(value));
    if (!isKnown && additional !== undefined) valid = applyAt(additional, key, value, run);
    if (isKnown) run.evaluated?.addKey(key);
    return valid;
  }

  const unknownArgument = () => {
    const known = [...named.keys(), ...patterns.map(([pattern]) => `names like ${show(pattern.source)}`)];
    return known.length === 0 ? 'no arguments' : `no such argument (known: ${list(known)})`;
  };

  return (instance, run) => {
    if (!isJsonObject(instance)) return true;
    let valid = true;
    const keys = Object.keys(instance);
    run.spend(6 * keys.length);
    for (const key of keys) {
      if (member(key, instance[key], run)) continue;
      if (run.isTold) return false;
      valid = false;
    }
    if (additional !== undefined) run.evaluated?.addAllKeys();
    return valid;
  };
}

/** `dependentRequired` and `dependentSchemas`, which were one as `dependencies` (draft-07 Validation, 6.5.7). */
function dependencies(keywords: Keywords): Check[] {
  const { index } = keywords.context;
  const isDraft07 = keywords.node.resource?.dialect.name === 'draft-07';
  const names = isDraft07 ? ['dependencies'] : ['dependencies', 'dependentRequired', 'dependentSchemas'];
  return names
    .flatMap((keyword) => membersOf(keywords, keyword))
    .map(([trigger, value]) => {
      const needed = listOf({ ...keywords, schema: { value } }, 'value')?.filter(
        (item) => typeof item === 'string',
      );
      const because = () => `a value, because ${show(trigger)} is given`;
      const node = nodeOf(index, value);
      return (instance, run) => {
        run.spend(1);
        if (!isJsonObject(instance) || !Object.hasOwn(instance, trigger)) return true;
        return needed === undefined ? apply(node, instance, run) : hasAll(needed, instance, run, because);
      };
    });
}
