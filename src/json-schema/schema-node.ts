import type { JsonObject } from '../json.ts';
import type { Dialect } from './dialects.ts';
import type { Run } from './run.ts';

/** Judges a value. Throws `exhausted` alone. */
export type Check = (instance: unknown, run: Run) => boolean;

/** A schema with an identifier of its own, and all inside it up to the next one (2020-12 Core, section 4.3.5). */
export interface Resource {
  /** Absolute, without a fragment. */
  readonly uri: string;
  readonly dialect: Dialect;
  readonly root: JsonObject | boolean;
  /** Pointer of the root into its document. */
  readonly pointer: string;
  readonly anchors: Map<string, SchemaNode>;
  readonly dynamicAnchors: Map<string, SchemaNode>;
}

/** Where `$ref` or `$dynamicRef` leads. */
export interface Reference {
  readonly target: SchemaNode;
  /** The anchor to look for in the dynamic scope, if the reference is a dynamic one (2020-12 Core, 8.2.3.2). */
  readonly anchor: string | undefined;
}

/** A schema of the document, `true` and `false` included. */
export interface SchemaNode {
  readonly schema: JsonObject | boolean;
  readonly pointer: string;
  /** None for `true` and `false`. */
  readonly resource: Resource | undefined;
  readonly references: Map<string, Reference>;
  /** Set once the document is indexed and all references are resolved. */
  check: Check;
}

/** The schema `true`. */
export const anything: SchemaNode = {
  schema: true,
  pointer: '',
  resource: undefined,
  references: new Map(),
  check: () => true,
};

/** The schema `false`. */
export const nothing: SchemaNode = {
  schema: false,
  pointer: '',
  resource: undefined,
  references: new Map(),
  check: (instance, run) => run.fail(instance, () => 'no value here'),
};
