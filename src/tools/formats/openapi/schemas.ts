import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { type Conversion, convertSchema } from './convert-schema.ts';
import { DocumentError } from './document-error.ts';
import { follow } from './reference.ts';

/** A schema that stands alone but for the definitions it refers to. */
interface Converted {
  readonly schema: JsonValue;
  /** What it refers to, as `$ref`s of the document. */
  readonly references: ReadonlySet<string>;
  /** About its characters as JSON. */
  readonly size: number;
}

/** The schemas of one operation, with one limit and one set of definitions. */
export interface OperationSchemas {
  /**
   * A schema of the document, of which references lead to `definitions`.
   *
   * @param description over the schema's own, unless it is empty.
   * @throws DocumentError for a schema that cannot be taken, or more of them than one operation may have.
   */
  convert(schema: JsonValue, description?: string): JsonValue;
  /** What `convert` gives, for having a look: no reference of it leads anywhere yet. @throws DocumentError */
  peek(schema: JsonValue): JsonValue;
  /** As `$defs`, what the schemas so far refer to, and what that refers to; undefined when that is nothing. */
  definitions(): JsonObject | undefined;
}

/** The schemas of a document. Each is converted once, however many operations need it. */
export interface DocumentSchemas {
  forOperation(): OperationSchemas;
}

/** @param limits the characters of one operation's schemas, and of all operations' together. */
export function createSchemas(
  document: JsonObject,
  dialect: Conversion['dialect'],
  limits: { readonly each: number; readonly all: number },
): DocumentSchemas {
  const known = new Map<JsonValue, Converted | DocumentError>();
  const names = new Map<string, string>();
  /** How often a name was asked for. */
  const taken = new Map<string, number>();
  let total = 0;

  const nameOf = (reference: string): string => {
    const known = names.get(reference);
    if (known !== undefined) return known;
    const plain = (reference.split('/').at(-1) ?? '').replace(/[^A-Za-z0-9._-]/g, '_') || 'root';
    let name = plain;
    while (taken.has(name)) {
      const number = (taken.get(plain) ?? 1) + 1;
      taken.set(plain, number);
      name = `${plain}_${number}`;
    }
    taken.set(name, 1);
    names.set(reference, name);
    return name;
  };

  const convertOnce = (schema: JsonValue): Converted => {
    const references = new Set<string>();
    let size = 0;
    const converted = convertSchema(
      {
        dialect,
        refer: (reference) => {
          follow(document, reference);
          references.add(reference);
          return `#/$defs/${nameOf(reference)}`;
        },
        count: (characters) => {
          size += characters;
          if (size > limits.each) throw tooLarge(limits.each);
        },
      },
      schema,
    );
    return { schema: converted, references, size };
  };

  const convert = (schema: JsonValue): Converted => {
    let result = known.get(schema);
    if (!result) {
      try {
        result = convertOnce(schema);
      } catch (error) {
        if (!(error instanceof DocumentError)) throw error;
        result = error;
      }
      known.set(schema, result);
    }
    if (result instanceof DocumentError) throw result;
    return result;
  };

  return {
    forOperation() {
      const needed = new Set<string>();
      let size = 0;
      const add = (converted: Converted) => {
        size += converted.size;
        total += converted.size;
        if (size > limits.each) throw tooLarge(limits.each);
        if (total > limits.all) throw new DocumentError(ALL_TOO_LARGE);
        for (const reference of converted.references) needed.add(reference);
        return converted.schema;
      };
      return {
        convert(schema, description = '') {
          const converted = convert(schema);
          const described = add({ ...converted, size: converted.size + description.length });
          if (description === '' || described === false) return described;
          return { ...(isJsonObject(described) ? described : {}), description };
        },
        peek: (schema) => convert(schema).schema,
        definitions() {
          const definitions: [string, JsonValue][] = [];
          // The set grows while it is walked: what is added to it is visited too.
          for (const reference of needed) {
            definitions.push([nameOf(reference), add(convert(follow(document, reference)))]);
          }
          return definitions.length === 0 ? undefined : Object.fromEntries(definitions);
        },
      };
    },
  };
}

const ALL_TOO_LARGE =
  'The schemas of the operations before it are too large together. Import the rest apart.';

function tooLarge(limit: number): DocumentError {
  return new DocumentError(`Its schemas have more than ${limit} characters (MAX_DEFINITION_BYTES).`);
}
