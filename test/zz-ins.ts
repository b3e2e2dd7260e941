import { execSync, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createConnection } from "mysql2/promise"
import { createShop } from "../services/local/shop/create-shop.ts"
import { date, openRoom } from "./bench/room.ts"

const N = Number(process.argv[3] ?? 1_000_000)
const room = await openRoom({ tasks: 2, database: { databaseKind: process.argv[2] as "mysql" } })
console.log(room.cloud.databaseServer?.name)
await createShop(room.databaseUrl, { users: N, purchases: N, days: 3, date })
const pid = Number(execSync("pgrep -n 'mariadbd|mysqld' || pgrep -n -f bin.mysqld").toString())
const cpu = () => {
  const f = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(f[11]) + Number(f[12])) * 10
}
const lohi = (
  await room.query<{ u: string }>(
    `SELECT user_id u FROM purchases WHERE purchased_on='${date}' AND user_id IS NOT NULL ORDER BY user_id LIMIT 1 OFFSET ${Math.floor(N * 0.48)}`,
  )
)[0]!.u
const K = 20
const cuts: string[] = []
for (let i = 1; i < K; i++)
  cuts.push(
    (
      await room.query<{ u: string }>(
        `SELECT user_id u FROM purchases WHERE purchased_on='${date}' AND user_id IS NOT NULL ORDER BY user_id LIMIT 1 OFFSET ${Math.floor((N * 0.97 * i) / K)}`,
      )
    )[0]!.u,
  )
const ins = (v: number, a?: string, b?: string, table = "bench_rows") =>
  `INSERT INTO ${table} SELECT '${date}', ${v}, user_id, SUM(amount_cents), COUNT(*) FROM purchases FORCE INDEX (purchases_day_slice) WHERE purchased_on = '${date}' AND user_id IS NOT NULL ${a ? `AND user_id >= ${a}` : ""} ${b ? `AND user_id < ${b}` : ""} GROUP BY user_id`
const conn = async () => {
  const c = await createConnection({ uri: room.databaseUrl })
  await c.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
  return c
}
const [a, b] = [await conn(), await conn()]
await a.query("CREATE TABLE bench_rows LIKE revenue_versions")
await a.query("CREATE TABLE bench_rows2 LIKE revenue_versions")
const t = async (name: string, f: () => Promise<unknown>) => {
  const out: string[] = []
  for (let k = 0; k < 4; k++) {
    await a.query("TRUNCATE bench_rows")
    await a.query("TRUNCATE bench_rows2")
    const c0 = cpu(),
      t0 = performance.now()
    await f()
    out.push(`${Math.round(performance.now() - t0)}ms/${cpu() - c0}cpu`)
  }
  console.log(name.padEnd(36), out.join("  "))
}
const shards = [undefined, ...cuts].map((x, i) => [x, cuts[i]] as const)
await t("select only, one", () =>
  a.query(
    `SELECT COUNT(*), SUM(s) FROM (SELECT user_id, SUM(amount_cents) s, COUNT(*) FROM purchases FORCE INDEX (purchases_day_slice) WHERE purchased_on = '${date}' AND user_id IS NOT NULL GROUP BY user_id) x`,
  ),
)
await t("one statement", () => a.query(ins(1)))
await t("two halves at once", () => Promise.all([a.query(ins(1, undefined, lohi)), b.query(ins(1, lohi))]))
await t("two halves, other tables", () =>
  Promise.all([a.query(ins(1, undefined, lohi)), b.query(ins(1, lohi, undefined, "bench_rows2"))]),
)
await t("20 shards, one connection", async () => {
  for (const [x, y] of shards) await a.query(ins(1, x, y))
})
await t("20 shards, two connections, queue", async () => {
  const q = [...shards]
  await Promise.all(
    [a, b].map(async (c) => {
      for (let s; (s = q.shift()); ) await c.query(ins(1, ...s))
    }),
  )
})
await t("20 shards, two connections, halves", async () => {
  await Promise.all(
    [
      [a, shards.slice(0, 10)],
      [b, shards.slice(10)],
    ].map(async ([c, q]: any) => {
      for (const s of q) await c.query(ins(1, ...s))
    }),
  )
})
if (process.argv[4]) {
  const p = spawn("perf", ["record", "-o", "/tmp/perf.data", "-g", "-p", String(pid)], { stdio: "ignore" })
  await t("perf: 20 shards, two connections, queue", async () => {
    const q = [...shards]
    await Promise.all(
      [a, b].map(async (c) => {
        for (let s; (s = q.shift()); ) await c.query(ins(1, ...s))
      }),
    )
  })
  p.kill("SIGINT")
  await new Promise((r) => p.on("exit", r))
}
await a.end()
await b.end()
await room.close()
process.exit(0)
