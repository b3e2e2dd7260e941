import { readFileSync } from "node:fs"

/** Whether a process runs. In a container without an init process nobody reaps orphans: a zombie counts as dead. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return true // no /proc on this system, or it has just gone: the next look will tell
  }
}
