import type { CaseKind, CaseResult } from "./tally.ts"

const kinds: CaseKind[] = [
  "crash point",
  "message fault",
  "server fault",
  "zombie",
  "source change",
  "soak run",
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
    header,
    ...kinds.map((kind) =>
      row(
        kind === "load" ? kind : `${kind}s`,
        results.filter((result) => result.kind === kind),
      ),
    ),
    row("all", results),
  ]
  const widths = header.map((_cell, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0)))
  return rows
    .map((cells) => cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))))
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")
}
