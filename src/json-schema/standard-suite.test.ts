import { describe, expect } from 'vitest';
import type { JsonValue } from '../json.ts';
import { isJsonObject } from '../json.ts';
import { readDataJson, readDataLines } from '../testing/tool-data.ts';
import { compileSchema } from './compile-schema.ts';
import { dataNote, testWithData } from './data-for-tests.ts';

/** A line of JSON-Schema-Test-Suite. */
interface Group {
  file: string;
  optional: boolean;
  description: string;
  schema: JsonValue;
  tests: { description: string; data: JsonValue; valid: boolean }[];
}

const CUSTOM_META_SCHEMA = 'a $schema that is neither 2020-12 nor draft-07 is refused';
const OTHER_DRAFT = 'a document of draft 2019-09 is referred to, which is not supported';
const CONTENT = 'contentEncoding and contentMediaType are notes, as from 2019-09 on';
const BIDI = 'mixing directions of writing is not checked (RFC 5893)';
const TABLES = 'browsers, whose conversion is used, accept it';

/** All tests of the suite that do not hold, with the reason. A file stands for all tests in it that fail. */
const EXCEPTIONS: Record<string, Record<string, string>> = {
  'draft2020-12': {
    'vocabulary.json': CUSTOM_META_SCHEMA,
    'optional/format-assertion.json': CUSTOM_META_SCHEMA,
    'optional/cross-draft.json': OTHER_DRAFT,
  },
  draft7: {
    'optional/cross-draft.json': OTHER_DRAFT,
    'optional/content.json': CONTENT,
  },
};

/** Tests of `idn-hostname` in both drafts that need not hold: it depends on the tables of Node's ICU. */
const HOST_NAME_EXCEPTIONS: Record<string, string> = {
  'zero width non-joiner must pass at every occurrence': TABLES,
  'A-label that decodes to a disallowed code point is invalid': TABLES,
  'non-canonical Punycode that does not re-encode to itself is invalid': TABLES,
  'Bidi domain name with a digit-first label is invalid': BIDI,
  'label starting with a digit before a right-to-left letter is invalid': BIDI,
  'left-to-right label containing a right-to-left letter is invalid': BIDI,
  'A-label that decodes to a Bidi rule violation is invalid': BIDI,
};

/** The suite's files for draft-07 leave `$schema` out. */
function ofDraft07(schema: JsonValue): JsonValue {
  if (!isJsonObject(schema) || Object.hasOwn(schema, '$schema')) return schema;
  return { $schema: 'http://json-schema.org/draft-07/schema#', ...schema };
}

function failuresOf(group: Group, schema: JsonValue, remotes: ReadonlyMap<string, JsonValue>): string[] {
  const judge = (data: JsonValue) => {
    try {
      return compileSchema(schema, { remotes, assertFormats: group.optional }).validate(data).length === 0;
    } catch {
      return undefined;
    }
  };
  return group.tests.filter(({ data, valid }) => judge(data) !== valid).map(({ description }) => description);
}

describe(`the standard's test suite${dataNote}`, () => {
  for (const draft of ['draft2020-12', 'draft7']) {
    testWithData(`${draft} holds but for the listed exceptions`, () => {
      const remotes = new Map(
        Object.entries(
          readDataJson<Record<string, JsonValue>>('security/json-schema-test-suite.remotes.json'),
        ),
      );
      const groups = readDataLines<Group>(`security/json-schema-test-suite.${draft}.jsonl`);
      const failing = new Set<string>();
      for (const group of groups) {
        const schema = draft === 'draft7' ? ofDraft07(group.schema) : group.schema;
        for (const description of failuresOf(group, schema, remotes)) {
          const isHostName = group.file === 'optional/format/idn-hostname.json';
          failing.add(isHostName ? description : group.file);
        }
      }
      const unexpected = [...failing].filter((name) => !Object.hasOwn(HOST_NAME_EXCEPTIONS, name));
      expect(unexpected.sort()).toEqual(Object.keys(EXCEPTIONS[draft] ?? {}).sort());
    });
  }
});
