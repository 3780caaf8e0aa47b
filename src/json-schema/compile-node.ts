import type { CompileContext, Keywords } from './compile-context.ts';
import { isReferenceAlone } from './index-schema.ts';
import { compileArrays } from './keywords/arrays.ts';
import { compileLogic } from './keywords/logic.ts';
import { compileNumbers } from './keywords/numbers.ts';
import { compileObjects } from './keywords/objects.ts';
import { compileDynamicReference, compileReference } from './keywords/references.ts';
import { compileStrings } from './keywords/strings.ts';
import { withUnevaluated } from './keywords/unevaluated.ts';
import { compileConst, compileEnum, compileType } from './keywords/values.ts';
import type { Check, Resource, SchemaNode } from './schema-node.ts';

/** Compiles the keywords of a schema to one check. Throws SchemaError at a pattern that can't be used. */
export function compileNode(node: SchemaNode, context: CompileContext): void {
  const { schema, resource } = node;
  if (typeof schema === 'boolean' || resource === undefined) return;
  const keywords: Keywords = { schema, node, context };
  const check = isReferenceAlone(schema, resource.dialect)
    ? together(undefined, [compileReference(keywords)])
    : withUnevaluated(compileKeywords(keywords), keywords);
  node.check = context.hasDynamicScope ? withScope(check, resource) : check;
}

function compileKeywords(keywords: Keywords): Check {
  return together(compileType(keywords), [
    compileConst(keywords),
    compileEnum(keywords),
    ...compileNumbers(keywords),
    ...compileStrings(keywords),
    ...compileArrays(keywords),
    ...compileObjects(keywords),
    compileReference(keywords),
    compileDynamicReference(keywords),
    ...compileLogic(keywords),
  ]);
}

/** A value of the wrong type gets no further faults. */
function together(type: Check | undefined, others: readonly (Check | undefined)[]): Check {
  const checks = others.filter((check) => check !== undefined);
  if (checks.length === 0) return type ?? (() => true);
  const [only] = checks;
  if (type === undefined && checks.length === 1 && only !== undefined) return only;
  return (instance, run) => {
    if (type !== undefined && !type(instance, run)) return false;
    let valid = true;
    for (const check of checks) {
      if (check(instance, run)) continue;
      if (run.isTold) return false;
      valid = false;
    }
    return valid;
  };
}

/** Notes the resources that are entered, for `$dynamicRef`. */
function withScope(check: Check, resource: Resource): Check {
  return (instance, run) => {
    if (run.scope.at(-1) === resource) return check(instance, run);
    run.scope.push(resource);
    const valid = check(instance, run);
    run.scope.pop();
    return valid;
  };
}
