import { readdirSync, readFileSync } from "node:fs"
import { createShop } from "../services/local/shop/create-shop.ts"
import { computeDate } from "./bench/compute-date.ts"
import { date, openRoom } from "./bench/room.ts"

const N = Number(process.argv[3] ?? 1_000_000)
const room = await openRoom({ tasks: 2, database: { databaseKind: process.argv[2] as "mysql" } })
console.log(room.cloud.databaseServer?.name)
await createShop(room.databaseUrl, { users: N, purchases: N, days: 3, date })
const seen = new Map<number, { name: string; cpu: number }>()
const snap = () => {
  for (const d of readdirSync("/proc")) {
    if (!/^\d+$/.test(d)) continue
    try {
      const s = readFileSync(`/proc/${d}/stat`, "utf8")
      const f = s.slice(s.lastIndexOf(")") + 2).split(" ")
      const cmd = readFileSync(`/proc/${d}/cmdline`, "utf8").replace(/\0/g, " ").slice(-60)
      seen.set(Number(d), { name: cmd, cpu: (Number(f[11]) + Number(f[12])) * 10 })
    } catch {}
  }
}
for (let k = 0; k < 4; k++) {
  snap()
  const before = new Map([...seen].map(([p, x]) => [p, x.cpu]))
  const timer = setInterval(snap, 100)
  const t = performance.now()
  const r = await computeDate(room, date)
  const ms = performance.now() - t
  snap()
  clearInterval(timer)
  console.log(
    k,
    "wall",
    Math.round(ms),
    JSON.stringify((r as any).phases ?? r, (_, v) =>
      typeof v === "bigint" ? String(v) : typeof v === "number" ? Math.round(v) : v,
    ).slice(0, 400),
  )
  for (const [p, x] of seen) {
    const d = x.cpu - (before.get(p) ?? 0)
    if (d >= 20) console.log("   ", String(d).padStart(6), "ms", p, x.name)
  }
}
await room.close()
process.exit(0)
