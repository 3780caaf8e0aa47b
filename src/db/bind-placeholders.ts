import { is, Param, Placeholder } from 'drizzle-orm';

/** What gives each parameter of a drizzle query its value: its placeholder's, or the query's own. */
export function bindersOf(params: readonly unknown[]) {
  return params.map((param) => {
    // In an insert, a placeholder comes with its column.
    const value = is(param, Param) ? param.value : param;
    return is(value, Placeholder)
      ? (values: Readonly<Record<string, unknown>>) => values[value.name]
      : () => value;
  });
}
