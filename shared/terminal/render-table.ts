export interface Column {
  title: string
  /** Numbers stand under each other's last digits. */
  align?: "left" | "right"
}

const GAP = "  "

/** Lines of a table, with a line of titles unless all are empty. Columns are as wide as their widest cell. */
export function renderTable(columns: Column[], rows: string[][]): string[] {
  const titles = columns.map((column) => column.title)
  const lines = titles.some((title) => title !== "") ? [titles, ...rows] : rows
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => (line[index] ?? "").length)))
  return lines.map((line) =>
    columns
      .map(({ align }, index) => pad(line[index] ?? "", widths[index] ?? 0, align ?? "left"))
      .join(GAP)
      .trimEnd(),
  )
}

function pad(cell: string, width: number, align: "left" | "right"): string {
  return align === "left" ? cell.padEnd(width) : cell.padStart(width)
}
