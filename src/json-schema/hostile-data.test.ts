import { describe, expect } from 'vitest';
import { compileSchema, SchemaError } from './compile-schema.ts';
import { dataNote, fastest, testWithData } from './data-for-tests.ts';
import { bombs, type Row, slowPatterns } from './hostile-rows-for-tests.ts';

/** Milliseconds in which each hostile schema must be refused, or answered. */
const LIMIT = 200;

function answer({ schema, instances }: Row): void {
  try {
    const compiled = compileSchema(schema);
    for (const instance of instances) compiled.validate(instance);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
  }
}

/** The names of those that take longer. */
function slow(rows: readonly Row[]): string[] {
  return rows.filter((row) => fastest(() => answer(row)) > LIMIT).map(({ name }) => name);
}

describe(`published attacks${dataNote}`, () => {
  testWithData('schemas are refused or answered in time', () => {
    expect(bombs().length).toBeGreaterThan(10);
    expect(slow(bombs())).toEqual([]);
  });

  testWithData('patterns are refused or answered in time', () => {
    expect(slowPatterns().length).toBeGreaterThan(10);
    expect(slow(slowPatterns())).toEqual([]);
  });
});
