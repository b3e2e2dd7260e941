import { readFileSync } from "node:fs"

/** What Linux tells of a process: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
export interface ProcessStat {
  /** `Z` for a zombie. */
  state: string
  parent: number
  /** When it began, in ticks since the machine did. */
  start: string
}

/** Undefined where there is no such process, or no /proc. */
export function readProcessStat(pid: number): ProcessStat | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  } catch {
    return undefined
  }
  // The name, in brackets, may hold anything; what comes after it begins with the third field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return { state: fields[0] ?? "", parent: Number(fields[1]), start: fields[19] ?? "" }
}
