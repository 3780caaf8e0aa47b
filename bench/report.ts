/** A cell of a table; numbers are formatted by who makes the row. */
export type Row = readonly string[];

/** Lays rows out under their headings: the first `textColumns` columns to the left, the others to the right. */
export function formatTable(headings: Row, rows: readonly Row[], textColumns = 1): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: Row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return column < textColumns ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return [line(headings), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** A number with as many digits as are worth reading. */
export function show(value: number, unit = ''): string {
  if (!Number.isFinite(value)) return '?';
  const digits = value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return `${value.toFixed(digits)}${unit}`;
}

/** A measured value beside what it should be. */
export interface Finding {
  readonly name: string;
  readonly measured: string;
  readonly target: string;
  readonly met: boolean;
}

/** A finding whose value must not exceed a limit of the same unit. */
export function atMost(name: string, value: number, limit: number, unit: string): Finding {
  return {
    name,
    measured: show(value, unit),
    target: `≤ ${limit}${unit}`,
    met: value <= limit,
  };
}

/** All findings as a table; without verdicts where a run is too short for them. */
export function formatFindings(findings: readonly Finding[], options: { verdicts: boolean }): string {
  const headings = options.verdicts ? ['what', 'measured', 'target', 'verdict'] : ['what', 'measured'];
  const rows = findings.map(({ name, measured, target, met }) =>
    options.verdicts ? [name, measured, target, met ? 'met' : 'not met'] : [name, measured],
  );
  return formatTable(headings, rows);
}
