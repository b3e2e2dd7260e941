import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { computeDate } from "./bench/compute-date.ts"
import { fillDay } from "./bench/fill-day.ts"
import { date, forgetRuns, openRoom } from "./bench/room.ts"
import { addShopTables } from "./bench/spare-database.ts"

const room = await openRoom({ tasks: 2, shardPurchases: 500 })
await addShopTables(room.databaseUrl)
await fillDay(room, date, 2000, "n * 7")
room.cloud.runJobs.onAttempt((e) => {
  if (e.type === "started" ? e.attempt > 0 : (e as any).exitCode !== 0) console.log(JSON.stringify(e))
})
for (let k = 0; k < 12; k++) {
  await forgetRuns(room)
  const r = await computeDate(room, date)
  console.log(k, r.claimMs.join(), r.shards.map((s) => `${s.taskIndex}.${s.attempt}:${s.epoch}`).join(" "))
}
const folder = dirname(room.cloud.services.planner.logFile)
for (const f of readdirSync(folder, { recursive: true }) as string[])
  if (/worker|task/i.test(f) && f.endsWith(".log")) {
    const t = readFileSync(join(folder, f), "utf8")
    const l = t.split("\n").filter((x) => x && !/"INFO"/.test(x))
    if (l.length) console.log(f, l.slice(0, 5).join("\n"))
  }
await room.close()
process.exit(0)
