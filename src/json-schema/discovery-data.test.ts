import { describe, expect } from 'vitest';
import type { JsonValue } from '../json.ts';
import { readDataLines } from '../testing/tool-data.ts';
import { compileSchema, SchemaError } from './compile-schema.ts';
import { dataNote, testWithData } from './data-for-tests.ts';

interface Call {
  tool: string;
  parameters: JsonValue;
  arguments: JsonValue;
  valid?: boolean;
  path?: string;
}

interface Definition {
  name: string;
  parameters: JsonValue;
  dialect: string;
  valid: boolean;
}

function isAccepted(schema: JsonValue): boolean {
  try {
    compileSchema(schema);
    return true;
  } catch (error) {
    if (error instanceof SchemaError) return false;
    throw error;
  }
}

describe(`published tools and calls${dataNote}`, () => {
  testWithData('calls are judged as they are labelled, at the place that is at fault', () => {
    const misjudged = readDataLines<Call>('discovery/calls.jsonl').filter((call) => {
      const faults = compileSchema(call.parameters).validate(call.arguments);
      if (call.valid === true) return faults.length > 0;
      return (
        faults.length === 0 ||
        (call.path !== undefined && !faults.some(({ pointer }) => pointer === call.path))
      );
    });
    expect(misjudged).toEqual([]);
  });

  testWithData('published answers that do not fit their own schema are refused', () => {
    const accepted = readDataLines<Call>('discovery/calls_disputed.jsonl').filter(
      (call) => compileSchema(call.parameters).validate(call.arguments).length === 0,
    );
    expect(accepted).toEqual([]);
  });

  testWithData('definitions are accepted if they are JSON Schema', () => {
    const definitions = readDataLines<Definition>('discovery/definitions.jsonl');
    expect(definitions.filter(({ parameters, valid }) => isAccepted(parameters) !== valid)).toEqual([]);
  });

  testWithData('the checks of a schema and its meta-schema agree', () => {
    const metaSchema = compileSchema({ $ref: 'https://json-schema.org/draft/2020-12/schema' });
    const definitions = readDataLines<Definition>('discovery/definitions.jsonl');
    const calls = readDataLines<Call>('discovery/calls.jsonl').slice(0, 300);
    const disputed = [...definitions, ...calls].filter(
      ({ parameters }) => (metaSchema.validate(parameters).length === 0) !== isAccepted(parameters),
    );
    expect(disputed).toEqual([]);
  });
});
