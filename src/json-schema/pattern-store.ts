import { schemaLimits } from './limits.ts';
import { PatternError } from './pattern/parse-pattern.ts';
import type { Pattern } from './pattern/pattern.ts';
import { compilePattern } from './pattern/pattern.ts';
import { SchemaError } from './schema-error.ts';

/** The patterns of one schema, each compiled once. */
export class PatternStore {
  readonly #patterns = new Map<string, Pattern>();
  #size = 0;

  /** Throws SchemaError at the pointer if the pattern can't be used, or if there are too many. */
  compile(source: string, pointer: string): Pattern {
    const pattern = this.#patterns.get(source) ?? compileAt(source, pointer);
    if (this.#patterns.has(source)) return pattern;
    this.#patterns.set(source, pattern);
    this.#size += pattern.size;
    if (this.#patterns.size > schemaLimits.patterns) {
      throw new SchemaError(pointer, `the schema holds more than ${schemaLimits.patterns} patterns`);
    }
    if (this.#size > schemaLimits.totalPatternSize) {
      throw new SchemaError(
        pointer,
        `the patterns of the schema stand for more than ${schemaLimits.totalPatternSize} characters`,
      );
    }
    return pattern;
  }
}

function compileAt(source: string, pointer: string): Pattern {
  try {
    return compilePattern(source);
  } catch (error) {
    if (error instanceof PatternError) throw new SchemaError(pointer, error.message);
    throw error;
  }
}
