import { setTimeout as wait } from "node:timers/promises"

/** Sends a process SIGTERM, and SIGKILL if it has not exited after the grace period. Settles when it has exited. */
export async function endProcess(
  send: (signal: "SIGTERM" | "SIGKILL") => void,
  exited: Promise<unknown>,
  graceMs: number,
): Promise<void> {
  send("SIGTERM")
  const patience = new AbortController()
  const isLate = wait(graceMs, true, { signal: patience.signal }).catch(() => false)
  if (await Promise.race([isLate, exited.then(() => false)])) send("SIGKILL")
  patience.abort()
  await exited
}
