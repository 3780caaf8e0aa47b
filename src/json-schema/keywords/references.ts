import type { Keywords } from '../compile-context.ts';
import { apply } from '../run.ts';
import type { Check } from '../schema-node.ts';

/** `$ref` (2020-12 Core, section 8.2.3.1). */
export function compileReference({ node }: Keywords): Check | undefined {
  const reference = node.references.get('$ref');
  if (reference === undefined) return undefined;
  const { target } = reference;
  return (instance, run) => apply(target, instance, run);
}

/** `$dynamicRef` (2020-12 Core, section 8.2.3.2): the outermost anchor of this name that was entered. */
export function compileDynamicReference({ node }: Keywords): Check | undefined {
  const reference = node.references.get('$dynamicRef');
  if (reference === undefined) return undefined;
  const { target, anchor } = reference;
  if (anchor === undefined) return (instance, run) => apply(target, instance, run);
  return (instance, run) => {
    run.spend(run.scope.length);
    const outermost = run.scope.find((resource) => resource.dynamicAnchors.has(anchor));
    return apply(outermost?.dynamicAnchors.get(anchor) ?? target, instance, run);
  };
}
