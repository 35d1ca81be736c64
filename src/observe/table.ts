// Aligned tables of plain text.

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

export interface TableOptions {
  /** Put before each line. */
  readonly indent?: string;
  /** Between columns. Default: two spaces. */
  readonly gap?: string;
}

/**
 * @param rows cells in the order of the columns; missing ones are empty
 * @returns the lines, the titles first, without trailing spaces
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { indent = '', gap = '  ' }: TableOptions = {},
): string[] {
  const widths = columns.map(({ title }, i) =>
    rows.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), title.length),
  );
  const format = (cells: readonly string[]) =>
    indent +
    columns
      .map(({ align }, i) => pad(cells[i] ?? '', widths[i]!, align))
      .join(gap)
      .trimEnd();
  return [columns.map(({ title }) => title), ...rows].map(format);
}

function pad(text: string, width: number, align: Column['align']): string {
  return align === 'right' ? text.padStart(width) : text.padEnd(width);
}
