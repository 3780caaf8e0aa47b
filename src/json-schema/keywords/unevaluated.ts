import { isJsonObject } from '../../json.ts';
import type { Keywords } from '../compile-context.ts';
import { schemaOf } from '../compile-context.ts';
import { Evaluated } from '../evaluated.ts';
import { applyAt } from '../run.ts';
import type { Check, SchemaNode } from '../schema-node.ts';
import { nothing } from '../schema-node.ts';
import { describe } from '../words.ts';

/**
 * Adds `unevaluatedProperties` and `unevaluatedItems` to the check of all other keywords of their schema (2020-12 Core,
 * section 11).
 */
export function withUnevaluated(check: Check, keywords: Keywords): Check {
  const properties = schemaOf(keywords, 'unevaluatedProperties');
  const items = schemaOf(keywords, 'unevaluatedItems');
  const isDraft07 = keywords.node.resource?.dialect.name === 'draft-07';
  if (isDraft07 || (properties === undefined && items === undefined)) return check;
  const checkProperties = properties === undefined ? undefined : unevaluatedProperties(properties);
  const checkItems = items === undefined ? undefined : unevaluatedItems(items);
  return (instance, run) => {
    const outer = run.evaluated;
    const own = new Evaluated();
    run.evaluated = own;
    const valid =
      check(instance, run) &&
      (checkProperties === undefined || checkProperties(instance, run)) &&
      (checkItems === undefined || checkItems(instance, run));
    run.evaluated = outer;
    if (valid) outer?.add(own, run);
    return valid;
  };
}

function unevaluatedProperties(node: SchemaNode): Check {
  return (instance, run) => {
    if (!isJsonObject(instance)) return true;
    let valid = true;
    for (const key of Object.keys(instance)) {
      run.spend(2);
      if (run.evaluated?.hasKey(key)) continue;
      const value = instance[key];
      if (node === nothing)
        valid = run.failMember(
          key,
          () => 'no such argument',
          () => describe(value),
        );
      else if (!applyAt(node, key, value, run)) valid = false;
      if (!valid && run.isTold) return false;
    }
    run.evaluated?.addAllKeys();
    return valid;
  };
}

function unevaluatedItems(node: SchemaNode): Check {
  return (instance, run) => {
    if (!Array.isArray(instance)) return true;
    let valid = true;
    for (const [index, item] of instance.entries()) {
      run.spend(2);
      if (run.evaluated?.hasItem(index) || applyAt(node, index, item, run)) continue;
      if (run.isTold) return false;
      valid = false;
    }
    run.evaluated?.addItemsBelow(Number.POSITIVE_INFINITY);
    return valid;
  };
}
