import { execFile } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { readShopFile } from "../../schemas/database/read-shop-file.ts"
import { createShop } from "../../services/local/shop/create-shop.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { date, type Room } from "./fixture.ts"
import { withSpareDatabase } from "./spare-database.ts"
import { median } from "./statistics.ts"

export const declaredSteps = ["plan", "compute", "verify"] as const
type Step = (typeof declaredSteps)[number]
type Day = Record<Step, { read: number; ms: number }>

export interface DeclaredFigures {
  shop: string
  /** Rows of the shop's tables read for each that counts. */
  read: Record<Step, number>
  /** Median time over that of the plain table. */
  timeRatio: Record<Step, number>
}

interface DeclaredShop {
  shop: string
  /** Undefined: the plain table. */
  declaration?: string
  /** Its tables, from `purchases`. */
  statements: string[]
}

const PURCHASES = 400_000
const SHARDS = 4

const amount = "{expression: total, scale: 2}"
const time = "{column: created, kind: utc}"
const created =
  "CREATE TABLE orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, total DECIMAL(20,4) NOT NULL, created DATETIME NOT NULL"
const insert = "INSERT INTO orders (total, created"
const rows = "amount_cents / 100, purchased_at"

/** The same purchases in the ways of other shops. */
const shops: DeclaredShop[] = [
  { shop: "plain columns", statements: [] },
  {
    shop: "decimals, guest 0, states",
    declaration: `table: orders\nuser: {column: buyer, guest: 0}\namount: ${amount}\ntime: ${time}\ncounts: "state = 'paid'"\n`,
    statements: [
      `${created}, buyer BIGINT NOT NULL, state VARCHAR(12) NOT NULL)`,
      `${insert}, buyer, state) SELECT ${rows}, COALESCE(user_id, 0), 'paid' FROM purchases`,
    ],
  },
  {
    shop: "users as text, currencies, a measure",
    declaration: `userType: varchar(40) collate utf8mb4_bin\ntable: orders\nuser: {column: buyer}\namount: ${amount}\ntime: ${time}\ncurrency: currency\nmeasures: {tax: {expression: tax, scale: 2}}\n`,
    statements: [
      `${created}, buyer VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, currency CHAR(3) NOT NULL, tax DECIMAL(20,4) NOT NULL)`,
      `${insert}, buyer, currency, tax) SELECT ${rows}, CONCAT('cus_', user_id), IF(purchase_id % 3 = 0, 'usd', 'eur'), 1.5 FROM purchases`,
    ],
  },
  {
    shop: "refunds in a second table",
    declaration: `sources:\n${["orders", "refunds"].map((table) => `  - {table: ${table}, user: {column: buyer}, amount: ${amount}, time: ${time}, purchase: ${table === "orders"}}\n`).join("")}`,
    statements: [
      `${created}, buyer BIGINT NULL)`,
      "CREATE TABLE refunds LIKE orders",
      `${insert}, buyer) SELECT ${rows}, user_id FROM purchases WHERE purchase_id % 10 > 0`,
      `${insert.replace("orders", "refunds")}, buyer) SELECT ${rows}, user_id FROM purchases WHERE purchase_id % 10 = 0`,
    ],
  },
]

const run = promisify(execFile)
const program = fileURLToPath(new URL("declared-day.ts", import.meta.url))

/** Measures each shop in turn, and all of them again, as often as asked; one round before is not counted. */
export async function measureDeclared(room: Room, repeat: number): Promise<DeclaredFigures[]> {
  await room.query("SET GLOBAL userstat = 1").catch(() => undefined)
  const folder = await mkdtemp(join(tmpdir(), "daybook-declared-"))
  try {
    const days = new Map<string, Day[]>(shops.map(({ shop }) => [shop, []]))
    await withShops(room, folder, shops, async (computes) => {
      for (let round = 0; round <= repeat; round++) {
        for (const [shop, compute] of computes) {
          const day = await compute(round === 0)
          if (round > 0) days.get(shop)?.push(day)
        }
      }
    })
    const [plain] = [...days.values()]
    const medianOf = (of: Day[] | undefined, step: Step) => median(of?.map((day) => day[step].ms) ?? [])
    return [...days].map(([shop, of]) => ({
      shop,
      read: bySteps((step) => median(of.map((day) => day[step].read))),
      timeRatio: bySteps((step) => medianOf(of, step) / medianOf(plain, step)),
    }))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const bySteps = (of: (step: Step) => number) =>
  Object.fromEntries(declaredSteps.map((step) => [step, of(step)])) as Record<Step, number>

type Compute = (isFirst: boolean) => Promise<Day>

/** Makes each shop in a database of its own, all of which are there at once. */
async function withShops(
  room: Room,
  folder: string,
  [next, ...rest]: DeclaredShop[],
  use: (computes: [string, Compute][]) => Promise<void>,
  made: [string, Compute][] = [],
): Promise<void> {
  if (!next) return use(made)
  await withSpareDatabase(room, async (spare) => {
    await createShop(spare.url, { users: PURCHASES, purchases: PURCHASES, days: 2, date })
    for (const statement of next.statements) await spare.query(statement)
    const file = next.declaration === undefined ? undefined : join(folder, `${made.length}.yaml`)
    if (file) await writeFile(file, next.declaration ?? "")
    await migrateDatabase(spare.url, {}, { layout: readShopFile(file) })
    const compute: Compute = async (isFirst) => {
      for (const table of ["runs", "dispatches", "shards", "revenue_versions"]) await spare.query(`TRUNCATE ${table}`)
      const env = {
        PATH: process.env["PATH"],
        DAY_URL: spare.url,
        DAY_KIND: room.cloud.databaseServer?.kind,
        DAY_SHARDS: String(SHARDS),
        DAY_PURCHASES: String(PURCHASES),
        ...(isFirst ? { DAY_FIRST: "1" } : {}),
        ...(file ? { SHOP_FILE: file } : {}),
      }
      const { stdout } = await run(process.execPath, [program], { env })
      return JSON.parse(stdout) as Day
    }
    await withShops(room, folder, rest, use, [...made, [next.shop, compute]])
  })
}
