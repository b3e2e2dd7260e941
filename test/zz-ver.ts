import { execSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { sumGuests, sumSource } from "../services/finalizer/sum-source.ts"
import { createShop } from "../services/local/shop/create-shop.ts"
import { openDatabase } from "../shared/database/open-database.ts"
import { sumRows } from "../shared/day/revenue-rows.ts"
import { shardRange } from "../shared/ledger/shard-range.ts"
import { computeDate } from "./bench/compute-date.ts"
import { date, openRoom } from "./bench/room.ts"

const N = Number(process.argv[3] ?? 1_000_000)
const room = await openRoom({ tasks: 2, database: { databaseKind: process.argv[2] as "mysql" } })
console.log(room.cloud.databaseServer?.name)
await createShop(room.databaseUrl, { users: N, purchases: N, days: 3, date })
const pid = Number(execSync("pgrep -n 'mariadbd|mysqld' || pgrep -n -f bin.mysqld").toString().trim().split("\n")[0])
const cpu = () => {
  const f = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(f[11]) + Number(f[12])) * 10
}
const r = await computeDate(room, date)
const { db } = openDatabase({ url: room.databaseUrl, connectionsMax: 4 })
const ranges = r.shards.map(shardRange)
const t = async (name: string, f: () => Promise<unknown>) => {
  const o = []
  for (let k = 0; k < 5; k++) {
    const c = cpu(),
      t0 = performance.now()
    await f()
    o.push(`${Math.round(performance.now() - t0)}/${cpu() - c}`)
  }
  console.log(name.padEnd(20), o.join("  "))
}
await t("source", () => sumSource(db, r.run, ranges))
await t("rows", () => sumRows(db, r.run, ranges))
await t("guests", () => sumGuests(db, r.run))
await t("all", () => Promise.all([sumSource(db, r.run, ranges), sumRows(db, r.run, ranges), sumGuests(db, r.run)]))
await t("rows then source", async () => {
  await sumRows(db, r.run, ranges)
  await Promise.all([sumSource(db, r.run, ranges), sumGuests(db, r.run)])
})
await t("source 1 conn", async () => {
  for (const x of ranges) await sumSource(db, r.run, [x])
})
await room.close()
process.exit(0)
