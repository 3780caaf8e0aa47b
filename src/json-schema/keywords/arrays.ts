import { ValueSet } from '../canonical-text.ts';
import type { Keywords } from '../compile-context.ts';
import { numberOf, schemaOf, schemasOf } from '../compile-context.ts';
import { applyAt, attempt } from '../run.ts';
import type { Check, SchemaNode } from '../schema-node.ts';
import { anything } from '../schema-node.ts';
import { summarize } from '../summarize.ts';
import { count } from '../words.ts';

/** The keywords for arrays (2020-12 Core, section 10.3.1, and Validation, section 6.4). */
export function compileArrays(keywords: Keywords): (Check | undefined)[] {
  return [
    size(keywords, 'minItems', 'at least', (length, limit) => length >= limit),
    size(keywords, 'maxItems', 'at most', (length, limit) => length <= limit),
    items(keywords),
    contains(keywords),
    uniqueItems(keywords),
  ];
}

function size(
  keywords: Keywords,
  keyword: string,
  words: string,
  holds: (length: number, limit: number) => boolean,
): Check | undefined {
  const limit = numberOf(keywords, keyword);
  if (limit === undefined) return undefined;
  const expected = () => `an array of ${words} ${count(limit, 'item')}`;
  return (instance, run) =>
    !Array.isArray(instance) || holds(instance.length, limit) || run.fail(instance, expected);
}

/** `prefixItems` with `items`; in draft-07 a list under `items` with `additionalItems`. */
function items(keywords: Keywords): Check | undefined {
  const listed = schemasOf(keywords, 'items');
  const isDraft07 = keywords.node.resource?.dialect.name === 'draft-07';
  const prefix = isDraft07 ? listed : schemasOf(keywords, 'prefixItems');
  const rest = schemaOf(keywords, listed === undefined ? 'items' : 'additionalItems');
  if (prefix === undefined && rest === undefined) return undefined;
  return eachItem(prefix ?? [], rest);
}

function eachItem(prefix: readonly SchemaNode[], rest: SchemaNode | undefined): Check {
  const covered = rest === undefined ? prefix.length : Number.POSITIVE_INFINITY;
  return (instance, run) => {
    if (!Array.isArray(instance)) return true;
    let valid = true;
    const end = rest === anything ? prefix.length : covered;
    for (let index = 0; index < instance.length && index < end; index++) {
      const node = prefix[index] ?? rest;
      if (node === undefined || applyAt(node, index, instance[index], run)) continue;
      if (run.isTold) return false;
      valid = false;
    }
    run.evaluated?.addItemsBelow(covered);
    return valid;
  };
}

/** `contains` with `minContains` and `maxContains`. */
function contains(keywords: Keywords): Check | undefined {
  const node = schemaOf(keywords, 'contains');
  if (node === undefined) return undefined;
  const isDraft07 = keywords.node.resource?.dialect.name === 'draft-07';
  const least = isDraft07 ? 1 : (numberOf(keywords, 'minContains') ?? 1);
  const most = isDraft07 ? undefined : numberOf(keywords, 'maxContains');
  const expected = () => {
    const amount = most === undefined ? `at least ${least}` : `from ${least} to ${most}`;
    return `an array with ${amount} of this kind: ${summarize(node) ?? 'what "contains" asks for'}`;
  };
  return (instance, run) => {
    if (!Array.isArray(instance)) return true;
    const { evaluated } = run;
    const found: number[] = [];
    for (const [index, item] of instance.entries()) {
      if (most === undefined && evaluated === undefined && found.length >= least) return true;
      run.evaluated = undefined;
      if (attempt(node, item, run)) found.push(index);
      run.evaluated = evaluated;
    }
    if (found.length < least || found.length > (most ?? found.length)) {
      return run.fail(instance, expected, () => `an array with ${found.length}`);
    }
    for (const index of found) evaluated?.addItem(index);
    return true;
  };
}

function uniqueItems({ schema }: Keywords): Check | undefined {
  if (schema.uniqueItems !== true) return undefined;
  return (instance, run) => {
    if (!Array.isArray(instance)) return true;
    run.spend(8 * instance.length);
    const seen = new ValueSet();
    const repeated = instance.findIndex((item) => !seen.add(item, run));
    if (repeated < 0) return true;
    return run.fail(
      instance,
      () => 'items that all differ',
      () => `an item, number ${repeated}, that is there twice`,
    );
  };
}
