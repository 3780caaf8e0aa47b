/**
 * Names as those read them who ignore case, as many readers of JSON and of queries do. In capitals first, as some small
 * letters (`ſ`) and some capitals (the Kelvin sign) meet only there or only in small letters.
 */
export function foldNames(names: Iterable<string>): ReadonlySet<string> {
  return new Set(Array.from(names, fold));
}

/** Whether a reader that ignores case could take a name for one of these, which are folded. */
export function isOneOf(folded: ReadonlySet<string>, name: string): boolean {
  return folded.size > 0 && folded.has(fold(name));
}

/** The same for a query or a form, where `a[]` and `a[b]` are `a` to many readers. */
export function isOneOfQuery(folded: ReadonlySet<string>, name: string): boolean {
  if (folded.size === 0) return false;
  const own = fold(name);
  if (folded.has(own)) return true;
  const first = own.indexOf('[');
  return first !== -1 && (folded.has(own.slice(0, first)) || folded.has(own.slice(0, own.lastIndexOf('['))));
}

function fold(name: string): string {
  return name.toUpperCase().toLowerCase();
}
