import type { Keywords } from '../compile-context.ts';
import { schemaOf, schemasOf } from '../compile-context.ts';
import type { Run } from '../run.ts';
import { apply, attempt } from '../run.ts';
import type { Check, SchemaNode } from '../schema-node.ts';
import { couldBeMeant, missedTypes, summarize, summarizeAll } from '../summarize.ts';
import { describe } from '../words.ts';

/** The keywords that join schemas for one value (2020-12 Core, sections 10.2.1 and 10.2.2). */
export function compileLogic(keywords: Keywords): (Check | undefined)[] {
  return [allOf(keywords), anyOf(keywords), oneOf(keywords), not(keywords), ifThenElse(keywords)];
}

function allOf(keywords: Keywords): Check | undefined {
  const nodes = schemasOf(keywords, 'allOf');
  if (nodes === undefined) return undefined;
  return (instance, run) => {
    let valid = true;
    for (const node of nodes) {
      if (apply(node, instance, run)) continue;
      if (run.isTold) return false;
      valid = false;
    }
    return valid;
  };
}

function anyOf(keywords: Keywords): Check | undefined {
  const nodes = schemasOf(keywords, 'anyOf');
  if (nodes === undefined) return undefined;
  return (instance, run) => {
    let valid = false;
    for (const node of nodes) {
      if (!attempt(node, instance, run)) continue;
      valid = true;
      if (run.evaluated === undefined) break;
    }
    return valid || noneHolds(nodes, instance, run);
  };
}

function oneOf(keywords: Keywords): Check | undefined {
  const nodes = schemasOf(keywords, 'oneOf');
  if (nodes === undefined) return undefined;
  const expected = () => `a value that matches exactly one of ${nodes.length} alternatives`;
  return (instance, run) => {
    let matches = 0;
    for (const node of nodes) {
      if (!attempt(node, instance, run)) continue;
      matches++;
      if (matches > 1)
        return run.fail(instance, expected, () => `${describe(instance)}, which matches several`);
    }
    return matches === 1 || noneHolds(nodes, instance, run);
  };
}

/** Tells why no alternative holds: by the faults of the one that was meant, if that is clear. Always false. */
function noneHolds(nodes: readonly SchemaNode[], instance: unknown, run: Run): false {
  if (run.faults === undefined || run.isTold) return false;
  const { length } = run.faults;
  const [meant, ...others] = nodes.filter((node) => couldBeMeant(node, instance));
  if (meant !== undefined && others.length === 0) apply(meant, instance, run);
  if (run.faults.length > length) return false;
  const many = nodes.length === 1 ? 'the one alternative' : `at least one of ${nodes.length} alternatives`;
  const expected = () =>
    summarizeAll(nodes) ?? missedTypes(nodes, instance) ?? `a value that matches ${many}`;
  return run.fail(instance, expected);
}

function not(keywords: Keywords): Check | undefined {
  const node = schemaOf(keywords, 'not');
  if (node === undefined) return undefined;
  const expected = () => {
    const words = summarize(node);
    return words === undefined ? 'a value that is not as the schema forbids' : `anything but ${words}`;
  };
  return (instance, run) => {
    const { evaluated } = run;
    run.evaluated = undefined;
    const matches = attempt(node, instance, run);
    run.evaluated = evaluated;
    return !matches || run.fail(instance, expected);
  };
}

function ifThenElse(keywords: Keywords): Check | undefined {
  const condition = schemaOf(keywords, 'if');
  if (condition === undefined) return undefined;
  const consequence = schemaOf(keywords, 'then');
  const alternative = schemaOf(keywords, 'else');
  return (instance, run) => {
    const next = attempt(condition, instance, run) ? consequence : alternative;
    return next === undefined || apply(next, instance, run);
  };
}
