import { readFile } from "node:fs/promises"
import { computeDate } from "./compute-date.ts"
import { fillDay } from "./fill-day.ts"
import { forgetRuns, type Room } from "./fixture.ts"
import { addShopTables } from "./spare-database.ts"

/** Peak resident memory, in MiB. */
export interface MemoryFigures {
  purchasesPerShard: number
  worker: number
  planner: number
  finalizer: number
}

const SMALLEST_SHARD = 10_000
const POLL_MS = 10
const dates = ["2026-11-20", "2026-11-21", "2026-11-22"]

/** In a room whose shards are as big as a day: days of one shard each, ten times and a hundred times the first. */
export async function measureMemory(room: Room): Promise<MemoryFigures[]> {
  await addShopTables(room.databaseUrl)
  const figures: MemoryFigures[] = []
  for (const [power, date] of dates.entries()) {
    const purchasesPerShard = SMALLEST_SHARD * 10 ** power
    await fillDay(room, date, purchasesPerShard, "MOD(n * 7919, 500000) * 7")
    await forgetRuns(room)
    const peaks = new Map<number, number>()
    const { planner, finalizer } = room.cloud.services
    const poll = setInterval(() => {
      for (const { pid } of room.cloud.runJobs.tasks()) void notePeak(pid, peaks)
    }, POLL_MS)
    try {
      await computeDate(room, date)
    } finally {
      clearInterval(poll)
    }
    figures.push({
      purchasesPerShard,
      worker: Math.max(...peaks.values()),
      planner: (await readPeak(planner.pid ?? 0)) ?? Number.NaN,
      finalizer: (await readPeak(finalizer.pid ?? 0)) ?? Number.NaN,
    })
  }
  return figures
}

async function notePeak(pid: number, peaks: Map<number, number>): Promise<void> {
  const peak = await readPeak(pid)
  if (peak !== undefined) peaks.set(pid, Math.max(peak, peaks.get(pid) ?? 0))
}

/** Linux only: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html, VmHWM. */
async function readPeak(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "")
  const kib = /^VmHWM:\s*(\d+) kB/m.exec(status)?.[1]
  return kib === undefined ? undefined : Number(kib) / 1024
}
