import { purchasesPerSecond, type RunProgress } from "../ledger/runs/run-progress.ts"
import { formatCount, formatDuration, formatNumberOf } from "./render-numbers.ts"

/** Where lines for people go: a terminal is rewritten in place, anything else gets a line now and then. */
export interface LineOutput {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

export interface ProgressLine {
  show(progress: RunProgress): void
  /** Leaves the last line standing and goes to the next. May be called again. */
  end(): void
}

// Into a file or a build's log, a line when something has changed and at most so often.
const LINE_INTERVAL_MS = 1_000
const COLUMNS_DEFAULT = 80
const BAR_CELLS = 20
const CLEAR_TO_END = "\u001B[K"

/** Shows progress as one live line on a terminal, as plain lines elsewhere. */
export function openProgressLine(output: LineOutput, now: () => number = () => performance.now()): ProgressLine {
  return output.isTTY ? liveLine(output) : plainLines(output, now)
}

function liveLine(output: LineOutput): ProgressLine {
  let open = false
  return {
    show(progress) {
      // A line that wraps could not be rewritten.
      const line = `${renderBar(progress)} ${renderProgress(progress)}`.slice(
        0,
        (output.columns ?? COLUMNS_DEFAULT) - 1,
      )
      output.write(`\r${line}${CLEAR_TO_END}`)
      open = true
    },
    end() {
      if (open) output.write("\n")
      open = false
    },
  }
}

function plainLines(output: LineOutput, now: () => number): ProgressLine {
  let shown: RunProgress | undefined
  let pending: RunProgress | undefined
  let shownAt = Number.NEGATIVE_INFINITY
  const write = (progress: RunProgress) => {
    output.write(`${renderProgress(progress)}\n`)
    shown = progress
    pending = undefined
    shownAt = now()
  }
  return {
    show(progress) {
      if (shown && !hasMoved(shown, progress)) return
      if (now() - shownAt >= LINE_INTERVAL_MS) write(progress)
      else pending = progress
    },
    end() {
      if (pending) write(pending)
    },
  }
}

/** `running 12/25 shards, 2 tasks, 120,000 purchases, 350,000/s, 0.80 s`: fits 80 columns with small numbers. */
export function renderProgress(progress: RunProgress): string {
  const { shards, shardCount } = progress
  const parts = [
    `${progress.state} ${shards.done}/${shardCount ?? "?"} shards`,
    ...(shards.failed > 0 ? [`${formatCount(shards.failed)} failed`] : []),
    ...(shards.missing > 0 ? [`${formatCount(shards.missing)} missing`] : []),
    formatNumberOf(progress.tasks, "task"),
    `${formatCount(progress.purchases)} purchases`,
    `${formatCount(Math.round(purchasesPerSecond(progress)))}/s`,
    formatDuration(progress.elapsedMs),
  ]
  return parts.join(", ")
}

function renderBar({ shards, shardCount }: RunProgress): string {
  const share = shardCount ? shards.done / shardCount : 0
  const full = Math.floor(share * BAR_CELLS)
  return `[${"#".repeat(full)}${".".repeat(BAR_CELLS - full)}]`
}

/** Time passes always; a line is for what else has changed. */
function hasMoved(before: RunProgress, after: RunProgress): boolean {
  return (
    before.state !== after.state ||
    before.dispatch !== after.dispatch ||
    before.tasks !== after.tasks ||
    before.shards.done !== after.shards.done ||
    before.shards.failed !== after.shards.failed ||
    before.shards.missing !== after.shards.missing
  )
}
