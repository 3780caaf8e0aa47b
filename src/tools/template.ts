import { getOwn, isJsonObject } from '../json.ts';

/** Where the value of a parameter goes. */
export interface Placeholder {
  readonly name: string;
}

/** A text with placeholders: RFC 6570 level 1, with the names that a definition knows. */
export type Template = readonly (string | Placeholder)[];

const BRACES = /\{\{|\}\}|\{([^{}]+)\}/g;

/**
 * The names that the templates of a definition may use: those of its parameters, at the top level, and of its hidden
 * ones.
 */
export function templateNames(definition: { parameters?: unknown; hidden?: unknown }): ReadonlySet<string> {
  const { parameters, hidden } = definition;
  const properties = isJsonObject(parameters) ? getOwn(parameters, 'properties') : undefined;
  return new Set([properties, hidden].flatMap((part) => (isJsonObject(part) ? Object.keys(part) : [])));
}

/** Parses a text. `{name}` is a placeholder where the name is known, `{{` and `}}` are braces, all else is literal. */
export function parseTemplate(text: string, names: ReadonlySet<string>): Template {
  const parts: (string | Placeholder)[] = [];
  let literal = '';
  let end = 0;
  const endLiteral = () => {
    if (literal !== '') parts.push(literal);
    literal = '';
  };
  for (const match of text.matchAll(BRACES)) {
    const [braces, name] = match;
    literal += text.slice(end, match.index);
    end = match.index + braces.length;
    if (name === undefined) {
      literal += braces.charAt(0);
    } else if (names.has(name)) {
      endLiteral();
      parts.push({ name });
    } else {
      literal += braces;
    }
  }
  literal += text.slice(end);
  endLiteral();
  return parts;
}

/**
 * As `parseTemplate`, for the URL of a call. One that has no parameter in braces is literal as a whole: braces were not
 * doubled before there were templates.
 */
export function parseUrlTemplate(url: string, names: ReadonlySet<string>): Template {
  const isTemplate = [...url.matchAll(/\{([^{}]+)\}/g)].some(([, name = '']) => names.has(name));
  return isTemplate ? parseTemplate(url, names) : [url];
}

/** The names of the placeholders, in their order. */
export function placeholdersOf(template: Template): string[] {
  return template.flatMap((part) => (typeof part === 'string' ? [] : part.name));
}

/** The text with its placeholders filled; undefined when one of them has no text. */
export function fillTemplate(
  template: Template,
  textOf: (name: string) => string | undefined,
): string | undefined {
  let text = '';
  for (const part of template) {
    const piece = typeof part === 'string' ? part : textOf(part.name);
    if (piece === undefined) return undefined;
    text += piece;
  }
  return text;
}
