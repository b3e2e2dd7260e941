import { type SQL, sql } from "drizzle-orm"
import { SCAN_ROWS_MAX } from "../../schemas/database/own-expressions.ts"
import { openShop, type Shop } from "../../schemas/database/shop.ts"
import { listSliceDdl, listTimeDdl } from "../../schemas/database/shop-ddl.ts"
import { allRows, type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { describeRead } from "../../shared/day/describe-read.ts"
import { listFilters } from "../../shared/day/list-filters.ts"
import { resolveRevenueDay } from "../../shared/day/revenue-day.ts"
import { addUpRows, type SumsRow, selectSums } from "../../shared/day/select-sums.ts"
import { cellsOf, countOf, type DayFilter, fromSource, guestsOf, type ShopDay } from "../../shared/day/shop-day.ts"
import { addTotals, noTotals, type Totals } from "../../shared/day/totals.ts"
import { totalsFields } from "../../shared/day/totals-fields.ts"
import { formatCount } from "../../shared/terminal/render-numbers.ts"
import { renderSides } from "../../shared/terminal/render-verdict.ts"
import { readDeclarationConfig, readShopConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

interface DdlOptions {
  json: boolean
  /** For an index of the day, instead of one of the shop's own time. */
  daySlice: boolean
}

/** `daybook shop ddl`: the statements that make the tables of SHOP_FILE readable, or quicker to read. */
export function printShopDdl({ json, daySlice }: DdlOptions, terminal: Terminal): number {
  const layout = readDeclarationConfig(terminal.env).SHOP_FILE
  const statements = daySlice ? listSliceDdl(layout) : listTimeDdl(layout)
  printResult(terminal, json, { statements }, daySlice ? describeSliceDdl(statements) : describeTimeDdl(statements))
  return exitCodes.ok
}

function describeTimeDdl(statements: string[]): string[] {
  return [
    `-- An index that begins with the time of purchases. A table that has one, or has at most ${formatCount(SCAN_ROWS_MAX)} rows, needs nothing.`,
    ...statements.map((statement) => `${statement};`),
  ]
}

function describeSliceDdl(statements: string[]): string[] {
  if (statements.length === 0)
    return ["-- No date can be generated from a TIMESTAMP: such tables are read as they are."]
  return [
    "-- Columns: computed when they are read, so that no table is rewritten (a moment each).",
    ...statements.filter(isColumn).map((statement) => `${statement};`),
    "-- Indexes: each table is read once, and the shop goes on writing meanwhile.",
    ...statements.filter((statement) => !isColumn(statement)).map((statement) => `${statement};`),
  ]
}

const isColumn = (statement: string) => statement.startsWith("ALTER TABLE")

/**
 * From so many purchases a day an index of the day saves more than ten seconds of CPU for each run: a million costs 1.8 to 3.2 s
 * less to compute and 1.2 to 2 s less to verify.
 */
const DAY_SLICE_PAYS = 3_000_000

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
    const read = await chooseRead(db, unread, { scanRowsMax: config.SCAN_ROWS_MAX })
    const day = { ...unread, ...read }
    const known = await sumUsers(db, day)
    const guests = await sumWhere(db, day, guestsOf(day))
    const inexact = known.inexact + guests.inexact
    const tables = shop.layout.sources.map(({ table }) => table)
    const isAre = tables.length === 1 ? "is" : "are"
    const lines = [
      `${day.date}: ${tables.join(", ")} ${isAre} ${describeRead(read)}`,
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
    if (read.accessPath === "day-scan" && shop.layout.hasDate) lines.push(adviseSlice(known.totals.purchases))
    const document = { known: totalsFields(known.totals), guests: totalsFields(guests.totals), inexact }
    printResult(terminal, json, { date: day.date, ...read, ...document }, lines)
    return inexact > 0n ? exitCodes.failed : exitCodes.ok
  } finally {
    await shopDatabase.close()
    await database.close()
  }
}

function adviseSlice(purchases: bigint): string {
  const pays = `an index of the day (daybook shop ddl --day-slice) pays from about ${formatCount(DAY_SLICE_PAYS)} purchases a day`
  return purchases >= DAY_SLICE_PAYS ? `${pays}: this day would be read quicker` : `nothing has to be added: ${pays}`
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
    const cells = cellsOf(day, source)
    const { amount, currency, measures } = cells
    const sums = selectSums({ ...cells, purchases: countOf(source) })
    const exact = [amount, ...measures].map((amount) => sql`${amount} IS NOT NULL`)
    return sql`SELECT COUNT(*) - COALESCE(SUM(${sql.join(exact, sql` AND `)}), 0) AS inexact, ${sums}
      ${fromSource(day, source)} WHERE ${filter(source)}${currency ? sql` GROUP BY ${currency}` : sql``}`
  })
  const rows = allRows<SumsRow & { inexact: string }>(await db.execute(sql.join(arms, sql` UNION ALL `)))
  return {
    totals: addUpRows(layout, rows, noTotals(layout)),
    inexact: rows.reduce((sum, { inexact }) => sum + BigInt(inexact), 0n),
  }
}
