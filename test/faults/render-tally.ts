import type { CaseKind, CaseResult } from "./tally.ts"

const kinds: CaseKind[] = [
  "crash point",
  "refusal",
  "message fault",
  "server fault",
  "zombie",
  "source change",
  "soak run",
  "failover",
  "load",
]

/** How many cases there were, and in how many something of each kind was wrong. */
export function summarize(results: CaseResult[]) {
  const count = (pattern: RegExp) => results.filter(({ faults }) => faults.some((fault) => pattern.test(fault))).length
  return {
    cases: results.length,
    wrongRows: count(/^(?:wrong rows|wrong manifests|done twice: shard)/),
    wrongVerdicts: count(/^(?:wrong verdict|done twice: a verdict)/),
    stuckRuns: count(/^stuck run/),
    faulty: results.filter(({ faults }) => faults.length > 0).length,
  }
}

/** The table at the end of the suite. */
export function renderTable(results: CaseResult[]): string {
  const header = ["", "tried", "wrong rows", "wrong verdicts", "stuck runs", "anything wrong"]
  const row = (name: string, of: CaseResult[]) => {
    const { cases, wrongRows, wrongVerdicts, stuckRuns, faulty } = summarize(of)
    return [name, ...[cases, wrongRows, wrongVerdicts, stuckRuns, faulty].map(String)]
  }
  const rows = [
    ...kinds
      .map((kind): [string, CaseResult[]] => [
        kind === "load" ? kind : `${kind}s`,
        results.filter((result) => result.kind === kind),
      ])
      .filter(([, of]) => of.length > 0)
      .map(([name, of]) => row(name, of)),
    row("all", results),
  ]
  const widths = header.map((cell, at) => Math.max(cell.length, ...rows.map((cells) => cells[at]?.length ?? 0)))
  const line = (cells: string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" | ")} |`
  // Markdown, to be shown as it is.
  const rule = widths.map((width, at) => (at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
  return [header, rule, ...rows].map(line).join("\n")
}
