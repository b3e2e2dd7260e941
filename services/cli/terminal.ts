import type { LineOutput } from "../../shared/terminal/render-progress.ts"

/** What a command gets from the process it runs in. */
export interface Terminal {
  env: NodeJS.ProcessEnv
  /** The result, and nothing else. */
  stdout: LineOutput
  /** Progress and errors. */
  stderr: LineOutput
  /** Aborts when the person interrupts. */
  signal: AbortSignal
}

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** The result of a command: lines for people, or with --json one document. */
export function printResult(terminal: Terminal, json: boolean, document: unknown, lines: string[]): void {
  terminal.stdout.write(json ? `${JSON.stringify(document, toJsonValue, 2)}\n` : `${lines.join("\n")}\n`)
}

/** A bigint becomes a string: a JSON number would lose digits. */
function toJsonValue(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value
}
