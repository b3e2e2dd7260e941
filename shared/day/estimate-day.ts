import { type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { type ExplainRow, explain, indexForEstimate } from "../database/dialect.ts"
import { allRows, type Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import { duringOwnTime } from "./own-time.ts"
import { indexOfSource, listSlices, onDate, type ShopDay } from "./shop-day.ts"

/** What a shard holds at least, where a day has as much and no other size is set: claiming costs the same for any size. */
export const SHARD_PURCHASES_MIN = 50_000

/** Ten pages have fewer entries, however short those are. */
const COUNTED_MAX = 10_000

/**
 * How many entries a range has, by what EXPLAIN says. InnoDB, in both servers, counts those of ten pages or fewer, and
 * doubles what it estimates of more (btr_estimate_n_rows_in_range). Up to `countedMax` it is a count.
 */
const toRows = (said: number, countedMax: number) => (said > countedMax ? said / 2 : said)

// No range is said to have more than half of its table's rows.
const TABLE_SHARE_MAX = 0.5

/**
 * About how many purchases a day has, by EXPLAIN, which does not read it; undefined where the day has no index of its own,
 * of which EXPLAIN knows nothing.
 */
export async function estimateDay(db: Database, day: ShopDay): Promise<number | undefined> {
  return estimateByPath[day.accessPath](db, day)
}

const estimateByPath: Record<AccessPath, typeof estimateDay> = {
  "day-slice": estimateSlices,
  "day-scan": estimateScan,
  "user-batches": async () => undefined,
}

async function estimateSlices(db: Database, day: ShopDay): Promise<number> {
  const slices = listSlices(day)
  const [[whole = []], tables] = await Promise.all([
    explainSlices(db, day, [{}]),
    explainEach(
      db,
      slices.map(({ source }) => sql`SELECT 1 FROM ${source.table}`),
    ),
  ])
  return slices.reduce((sum, { share }, at) => {
    const [said = 0, tableRows = 0] = [whole[at], tables[at]]
    // Of a table that is most of all one day it is too little already.
    const isCut = said >= tableRows * TABLE_SHARE_MAX * 0.9
    return sum + share * (isCut ? said : toRows(said, COUNTED_MAX))
  }, 0)
}

/** Of what the shop's own index of time has of the day; undefined where a table is read without one. */
async function estimateScan(db: Database, day: ShopDay): Promise<number | undefined> {
  const { sources } = day.shop
  const indexes = sources.map((source) => indexOfSource(day, source))
  if (indexes.includes("")) return undefined
  const [said, tables] = await Promise.all([
    explainEach(
      db,
      sources.map(
        (source, at) => sql`SELECT 1 FROM ${source.table} ${indexForEstimate(indexes[at] ?? "")}
          WHERE ${duringOwnTime(source, day)}`,
      ),
    ),
    explainEach(
      db,
      sources.map(({ table }) => sql`SELECT 1 FROM ${table}`),
    ),
  ])
  return said.reduce((sum, rows, at) => {
    const isCut = rows >= (tables[at] ?? 0) * TABLE_SHARE_MAX * 0.9
    return sum + (isCut ? rows : toRows(rows, COUNTED_MAX))
  }, 0)
}

/** About how many purchases of a day each of some ranges has, in their order, in one statement. */
export async function estimateRanges(
  db: Database,
  day: ShopDay,
  ranges: Range[],
  countedMax = COUNTED_MAX,
): Promise<number[]> {
  const slices = listSlices(day)
  // Of a date only some of whose hours are the day's, as much as they are of it.
  return (await explainSlices(db, day, ranges)).map((said) =>
    slices.reduce((sum, { share }, at) => sum + toRows(said[at] ?? 0, countedMax) * share, 0),
  )
}

/** What EXPLAIN says each of some ranges has of each slice of a day. */
export async function explainSlices(db: Database, day: ShopDay, ranges: Range[]): Promise<number[][]> {
  const slices = listSlices(day)
  const queries = ranges.flatMap((range) =>
    slices.map(
      (
        slice,
      ) => sql`SELECT ${slice.source.table.userId} FROM ${slice.source.table} ${indexForEstimate(indexOfSource(day, slice.source))}
        WHERE ${onDate(slice, range)}`,
    ),
  )
  const said = await explainEach(db, queries)
  return ranges.map((_, at) => said.slice(at * slices.length, (at + 1) * slices.length))
}

async function explainEach(db: Database, queries: SQL[]): Promise<number[]> {
  // A row for each SELECT, in their order; without a number where it cannot match anything.
  const rows = allRows<ExplainRow>(await db.execute(explain(sql.join(queries, sql` UNION ALL `))))
  return rows.map((row) => Number(row.rows ?? 0))
}
