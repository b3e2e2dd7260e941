import { createConnection } from "mysql2/promise"
import { createShop } from "../services/local/shop/create-shop.ts"
import { date, openRoom } from "./bench/room.ts"

const N = 1_000_000
const room = await openRoom({ tasks: 2, database: { databaseKind: process.argv[2] as "mysql" } })
console.log(room.cloud.databaseServer?.name)
await createShop(room.databaseUrl, { users: N, purchases: N, days: 3, date })
const a = await createConnection({ uri: room.databaseUrl })
const P = "1267650600228229401496703205376"
const u = "user_id"
const h = (x: number, y: number) => `CRC32((${u} & 4294967295) * ${x} + (${u} >> 32) * ${y})`
const w = `(${h(1234567891, 1934567893)} * 2147483648 + (${h(1634567897, 1334567899)} >> 1))`
const run = async (name: string, e: string) => {
  const ts: number[] = []
  let v: unknown
  for (let k = 0; k < 4; k++) {
    const t = performance.now()
    const [r] = await a.query(
      `SELECT ${e} AS x FROM purchases FORCE INDEX (purchases_day_slice) WHERE purchased_on='${date}' AND user_id IS NOT NULL`,
    )
    v = JSON.stringify(r)
    ts.push(performance.now() - t)
  }
  console.log(name.padEnd(50), Math.round(Math.min(...ts)), String(v).slice(0, 150))
}

const p1 = 2147483647,
  p2 = 2147483629
const C1 = 1804289383,
  C2 = 846930886
const h1 = `(${h(1234567891, 1934567893)} >> 1)`,
  h2 = `(${h(1634567897, 1334567899)} >> 1)`
await run("count, sum", "COUNT(*), SUM(amount_cents)")
await run("current", `COUNT(*), SUM(amount_cents), SUM((amount_cents + ${P}) * ${w})`)
const m1 = `(MOD(amount_cents, ${p1}) + ${C1}) * ${h1}`,
  m2 = `(MOD(amount_cents, ${p2}) + ${C2}) * ${h2}`
await run("one mod", `COUNT(*), SUM(amount_cents), SUM(${m1})`)
await run("two mod", `COUNT(*), SUM(amount_cents), SUM(${m1}), SUM(${m2})`)
await run(
  "two mod double",
  `COUNT(*), SUM(amount_cents), SUM(MOD(${m1}, 536870909)+0e0), SUM(MOD(${m2}, 536870879)+0e0)`,
)
await run("mod, one hash squared", `COUNT(*), SUM(amount_cents), SUM(${m1}), SUM(MOD(${m1}, ${p2}))`)
await run(
  "mulhash no crc",
  `COUNT(*), SUM(amount_cents), SUM((MOD(amount_cents, ${p1}) + ${C1}) * ((user_id * 1234567) & 2147483647))`,
)
await run("just sum(int expr)", `COUNT(*), SUM(amount_cents), SUM(amount_cents + 5)`)
await run("just mod", `COUNT(*), SUM(amount_cents), SUM(MOD(amount_cents, ${p1}) + ${C1})`)
await run("one term xor'd: bit_xor(mod*h)", `COUNT(*), SUM(amount_cents), BIT_XOR(${m1})`)
await a.query(`CREATE TABLE rv LIKE revenue_versions`)
await a.query(
  `INSERT INTO rv SELECT '${date}', 1, user_id, SUM(amount_cents), COUNT(*) FROM purchases FORCE INDEX (purchases_day_slice) WHERE purchased_on = '${date}' AND user_id IS NOT NULL GROUP BY user_id`,
)
const runR = async (name: string, e: string) => {
  const ts: number[] = []
  let v: unknown
  for (let k = 0; k < 4; k++) {
    const t = performance.now()
    const [r] = await a.query(`SELECT ${e} AS x FROM rv WHERE revenue_date='${date}' AND version = 1`)
    v = JSON.stringify(r)
    ts.push(performance.now() - t)
  }
  console.log("ROWS", name.padEnd(50), Math.round(Math.min(...ts)), String(v).slice(0, 150))
}
await runR("count, sum, max, sum purchases", "COUNT(*), MAX(amount_cents), SUM(amount_cents), SUM(purchases)")
await runR(
  "current",
  `COUNT(*), MAX(amount_cents), SUM(amount_cents), SUM(purchases), SUM((amount_cents + purchases * ${P}) * ${w})`,
)
const r1 = `(MOD(amount_cents, ${p1}) + MOD(purchases * ${C1}, ${p1})) * ${h1}`,
  r2 = `(MOD(amount_cents, ${p2}) + MOD(purchases * ${C2}, ${p2})) * ${h2}`
await runR("two mod", `COUNT(*), MAX(amount_cents), SUM(amount_cents), SUM(purchases), SUM(${r1}), SUM(${r2})`)
await runR("one mod", `COUNT(*), MAX(amount_cents), SUM(amount_cents), SUM(purchases), SUM(${r1})`)
await a.end()
await room.close()
process.exit(0)
