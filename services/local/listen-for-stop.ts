import { readProcessStat } from "./process-stat.ts"

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
type StopSignal = (typeof signals)[number]

const LOOK_MS = 250

/**
 * Calls at every signal to stop, the second one too: it must not cut the cleaning up short. And where npm has started this
 * process and ends: npm does not pass every signal on, and none that it cannot catch.
 */
export function listenForStop(stop: (signal: StopSignal, why: string) => void): void {
  for (const name of signals) process.on(name, () => stop(name, name))
  // Who reads what this prints may have ended first.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
  if (process.env["npm_lifecycle_event"] === undefined) return
  const ancestors = listAncestors()
  const timer = setInterval(() => {
    if (listAncestors().join() === ancestors.join()) return
    clearInterval(timer)
    stop("SIGTERM", "npm has ended")
  }, LOOK_MS)
  timer.unref()
}

/** The shell that npm has started this process in, and npm; the shell alone where there is no /proc. */
function listAncestors(): (number | undefined)[] {
  return [process.ppid, readProcessStat(process.ppid)?.parent]
}
