import { type SQL, sql } from "drizzle-orm"
import { openShop, type Shop } from "../../schemas/database/shop.ts"
import { listShopDdl } from "../../schemas/database/shop-ddl.ts"
import { allRows, type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { listFilters } from "../../shared/day/list-filters.ts"
import { resolveRevenueDay } from "../../shared/day/revenue-day.ts"
import { addUpRows, type SumsRow, selectSums } from "../../shared/day/select-sums.ts"
import { countOf, type DayFilter, fromSource, guestsOf, type ShopDay } from "../../shared/day/shop-day.ts"
import { addTotals, noTotals, type Totals } from "../../shared/day/totals.ts"
import { totalsFields } from "../../shared/day/totals-fields.ts"
import { formatCount } from "../../shared/terminal/render-numbers.ts"
import { renderSides } from "../../shared/terminal/render-verdict.ts"
import { readDeclarationConfig, readShopConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

/** `daybook shop ddl`: the statements that make the tables of SHOP_FILE readable. */
export function printShopDdl(json: boolean, terminal: Terminal): number {
  const statements = listShopDdl(readDeclarationConfig(terminal.env).SHOP_FILE)
  const [columns, indexes] = [statements.filter(isColumn), statements.filter((statement) => !isColumn(statement))]
  const lines = [
    "-- Columns: computed when they are read, so that no table is rewritten (a moment each).",
    ...columns.map((statement) => `${statement};`),
    "-- Indexes: each table is read once, and the shop goes on writing meanwhile.",
    ...indexes.map((statement) => `${statement};`),
  ]
  printResult(terminal, json, { statements }, lines)
  return exitCodes.ok
}

const isColumn = (statement: string) => statement.startsWith("ALTER TABLE")

interface Inspection {
  totals: Totals
  /** Rows whose amount is no whole number of minor units. */
  inexact: bigint
}

/** `daybook shop check`: what a run of the date would read and find, before any run. */
export async function checkShop(date: string, json: boolean, terminal: Terminal): Promise<number> {
  const config = readShopConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  const shopDatabase = await openSource(config, database, 1)
  const shop = openShop(config.SHOP_FILE)
  const { db } = shopDatabase
  try {
    const now = new Date()
    const timeZone = config.REVENUE_TIME_ZONE
    const unread = { ...resolveRevenueDay(date, timeZone, now, now), timeZone, shop }
    const read = await chooseRead(db, unread)
    const day = { ...unread, ...read }
    const known = await sumUsers(db, day)
    const guests = await sumWhere(db, day, guestsOf(day))
    const inexact = known.inexact + guests.inexact
    const tables = shop.layout.sources.map(({ table }) => table)
    const isAre = tables.length === 1 ? "is" : "are"
    const lines = [
      `${day.date}: ${tables.join(", ")} ${isAre} read by ${read.accessPath} of the index ${read.sourceIndex}`,
      ...renderSides(
        [
          { name: "known users", totals: known.totals },
          { name: "guests", totals: guests.totals },
        ],
        shop.layout.scale,
      ).map((line) => `  ${line}`),
      ...(inexact > 0n
        ? [
            `${formatCount(inexact)} purchases have an amount that is no whole number of minor units: their users' shards would fail`,
          ]
        : []),
    ]
    const document = { known: totalsFields(known.totals), guests: totalsFields(guests.totals), inexact }
    printResult(terminal, json, { date: day.date, ...read, ...document }, lines)
    return inexact > 0n ? exitCodes.failed : exitCodes.ok
  } finally {
    await shopDatabase.close()
    await database.close()
  }
}

async function sumUsers(db: Database, day: ShopDay): Promise<Inspection> {
  let sum: Inspection = { totals: noTotals(day.shop.layout), inexact: 0n }
  for await (const filter of listFilters(db, day, {})) {
    const { totals, inexact } = await sumWhere(db, day, filter)
    sum = { totals: addTotals(sum.totals, totals), inexact: sum.inexact + inexact }
  }
  return sum
}

async function sumWhere(db: Database, day: ShopDay, filter: DayFilter): Promise<Inspection> {
  const { layout, sources }: Shop = day.shop
  const arms = sources.map((source): SQL => {
    const { table, currency, measures } = source
    const sums = selectSums({ currency, purchases: countOf(source), amount: sql`${table.amountCents}`, measures })
    const exact = [sql`${table.amountCents}`, ...measures].map((amount) => sql`${amount} IS NOT NULL`)
    return sql`SELECT COUNT(*) - COALESCE(SUM(${sql.join(exact, sql` AND `)}), 0) AS inexact, ${sums}
      ${fromSource(day, source)} WHERE ${filter(source)}${currency ? sql` GROUP BY ${currency}` : sql``}`
  })
  const rows = allRows<SumsRow & { inexact: string }>(await db.execute(sql.join(arms, sql` UNION ALL `)))
  return {
    totals: addUpRows(layout, rows, noTotals(layout)),
    inexact: rows.reduce((sum, { inexact }) => sum + BigInt(inexact), 0n),
  }
}
