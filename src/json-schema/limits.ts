/**
 * What a schema may cost. Schemas and instances come from strangers, so each number here is a refusal: a schema beyond
 * one of them throws SchemaError when it is compiled, an instance beyond `steps` or `evaluationDepth` is not valid.
 */
export const schemaLimits = {
  /** JSON nesting of the schema. A nested `properties` takes two levels. */
  depth: 128,
  /** JSON values in the schema, with those of `enum`, `const`, `default` and `examples`. */
  values: 20_000,
  /** Schemas inside the schema, itself included. */
  subschemas: 3_000,
  /** `$ref` and `$dynamicRef` together. */
  references: 1_000,
  /** Schemas that apply to one value one inside the other, such as a `$ref` to a `$ref`. */
  chain: 100,
  /** Characters of `$id`, `$anchor`, `$ref` and the like. */
  identifierLength: 500,
  /** Patterns that differ. Each takes some 30 µs to compile. */
  patterns: 200,
  /** Characters of one pattern. */
  patternLength: 2_000,
  /** Groups inside groups of one pattern. */
  patternDepth: 50,
  /** Instructions of one pattern; a counted repetition counts as often as it may repeat. */
  patternSize: 20_000,
  /** Instructions of all patterns of a schema. */
  totalPatternSize: 100_000,
  /** Work of one validation, in steps of about 10 ns. */
  steps: 1_000_000,
  /** Schemas applied one inside the other while validating, so that the stack cannot overflow. */
  evaluationDepth: 500,
  /** Faults that one validation names. */
  faults: 10,
} as const;
