import { type SQL, sql } from "drizzle-orm"
import { purchases, shopLayout } from "../../schemas/database/shop.ts"
import { columnDdl, indexDdl } from "../../schemas/database/shop-ddl.ts"
import { allRows, type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { listPredicates } from "../../shared/day/list-predicates.ts"
import { resolveRevenueDay } from "../../shared/day/revenue-day.ts"
import { fromPurchases, guestsOf, type ShopDay } from "../../shared/day/shop-day.ts"
import { formatAmount, formatCount } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { readShopConfig } from "./config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

/** `daybook shop ddl`: the statements that make the table of SHOP_FILE readable. */
export function printShopDdl(json: boolean, terminal: Terminal): number {
  const statements = [...shopLayout.generated.map((column) => columnDdl(shopLayout, column)), indexDdl(shopLayout)]
  const lines = [
    "-- Columns: computed when they are read, so that the table is not rewritten (a moment each).",
    ...statements.slice(0, -1).map((statement) => `${statement};`),
    "-- The index: the table is read once, and the shop goes on writing meanwhile.",
    `${statements.at(-1)};`,
  ]
  printResult(terminal, json, { statements }, lines)
  return exitCodes.ok
}

interface DayTotals {
  purchases: bigint
  amountCents: bigint
  /** Purchases whose amount is no whole number of minor units. */
  inexact: bigint
}

/** `daybook shop check`: what a run of the date would read and find, before any run. */
export async function checkShop(date: string, json: boolean, terminal: Terminal): Promise<number> {
  const config = readShopConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  const source = await openSource(config, database, 1)
  try {
    const now = new Date()
    const day = { ...resolveRevenueDay(date, config.REVENUE_TIME_ZONE, now, now), timeZone: config.REVENUE_TIME_ZONE }
    const read = await chooseRead(source.db, day)
    const known = await sumUsers(source.db, { ...day, ...read })
    const [guests = noTotals] = await sumWhere(source.db, { ...day, ...read }, guestsOf({ ...day, ...read }))
    const right = "right" as const
    const row = (name: string, { purchases, amountCents }: DayTotals) => [
      name,
      formatCount(purchases),
      formatAmount(String(amountCents)),
    ]
    const inexact = known.inexact + guests.inexact
    const lines = [
      `${day.date}: ${shopLayout.table} is read by ${read.accessPath} of the index ${read.sourceIndex}`,
      ...renderTable(
        [{ title: "" }, { title: "purchases", align: right }, { title: "amount", align: right }],
        [row("known users", known), row("guests", guests)],
      ).map((line) => `  ${line}`),
      ...(inexact > 0n
        ? [
            `${formatCount(inexact)} purchases have an amount that is no whole number of minor units: their users' shards would fail`,
          ]
        : []),
    ]
    printResult(terminal, json, { date: day.date, ...read, known, guests, inexact }, lines)
    return inexact > 0n ? exitCodes.failed : exitCodes.ok
  } finally {
    await source.close()
    await database.close()
  }
}

const noTotals: DayTotals = { purchases: 0n, amountCents: 0n, inexact: 0n }

async function sumUsers(db: Database, day: ShopDay): Promise<DayTotals> {
  let sum = noTotals
  for await (const predicate of listPredicates(db, day, {})) {
    const [{ purchases, amountCents, inexact } = noTotals] = await sumWhere(db, day, predicate)
    sum = {
      purchases: sum.purchases + purchases,
      amountCents: sum.amountCents + amountCents,
      inexact: sum.inexact + inexact,
    }
  }
  return sum
}

async function sumWhere(db: Database, day: ShopDay, where: SQL): Promise<DayTotals[]> {
  const { amountCents: amount } = purchases
  const rows = allRows<{ purchases: string; amount: string; inexact: string }>(
    await db.execute(sql`
      SELECT COUNT(*) AS purchases, COALESCE(SUM(${amount}), 0) AS amount, COUNT(*) - COUNT(${amount}) AS inexact
      ${fromPurchases(day)} WHERE ${where}`),
  )
  return rows.map((row) => ({
    purchases: BigInt(row.purchases),
    amountCents: BigInt(row.amount),
    inexact: BigInt(row.inexact),
  }))
}
