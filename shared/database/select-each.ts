import { type SQL, sql } from "drizzle-orm"
import pMap from "p-map"
import type { Range } from "../range.ts"
import { allRows, type Database } from "./open-database.ts"

/** A row that says which arm of its statement it is of. */
export interface ArmRow {
  arm: string | number
}

// One statement for many ranges saves round trips. Each arm is still one range of an index.
const RANGES_PER_STATEMENT_MAX = 100

/** As many as a shop can spare for a look; a service's pool holds four by default. */
export const STATEMENTS_AT_ONCE = 2

/**
 * Selects rows for each range, in the order of the ranges: `select` must give its `arm` back, and may be several SELECTs
 * joined by UNION ALL. In a transaction, which has one connection, one statement goes at once.
 */
export async function selectEach<Row extends ArmRow>(
  db: Database,
  ranges: Range[],
  select: (range: Range, arm: number) => SQL,
  atOnce = STATEMENTS_AT_ONCE,
): Promise<Row[][]> {
  // Twice as many statements as go at once: they end at about the same time though ranges differ.
  const statements = atOnce > 1 ? atOnce * 2 : 1
  const size = Math.min(Math.ceil(ranges.length / statements), RANGES_PER_STATEMENT_MAX)
  const starts = Array.from({ length: Math.ceil(ranges.length / Math.max(1, size)) }, (_, n) => n * size)
  const selectFrom = async (start: number) => {
    const chosen = ranges.slice(start, start + size)
    const arms = chosen.map((range, arm) => select(range, arm))
    const rows = allRows<Row>(await db.execute(sql.join(arms, sql` UNION ALL `)))
    const byArm = Map.groupBy(rows, ({ arm }) => Number(arm))
    return chosen.map((_range, arm) => byArm.get(arm) ?? [])
  }
  return (await pMap(starts, selectFrom, { concurrency: atOnce })).flat()
}
