import type { Shop } from "../../schemas/database/shop.ts"
import type { Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import { compareTotals, type Spent, type UserChange } from "./compare-totals.ts"
import { readRowTotals } from "./read-totals.ts"

/** Yields the users of some ranges whose rows differ between two versions of a date, in the order of the ranges. */
export async function* listChanges(
  db: Database,
  shop: Shop,
  revenueDate: string,
  versions: { before: number; after: number },
  ranges: Range[] = [{}],
): AsyncGenerator<UserChange> {
  const before = readRowTotals(db, { shop, revenueDate, version: versions.before })
  const after = readRowTotals(db, { shop, revenueDate, version: versions.after })
  for (const range of ranges) yield* compareTotals(before, after, range)
}

/** A line of changes.jsonl, without its end: `{"userId":"7","before":{"amountCents":"1","purchases":"2"},"after":null}`. */
export function formatChange({ userId, currency, before, after }: UserChange): string {
  const key = { userId: String(userId), ...(currency === undefined ? {} : { currency }) }
  return JSON.stringify({ ...key, before: formatSpent(before), after: formatSpent(after) })
}

function formatSpent(spent: Spent | undefined) {
  if (!spent) return null
  const { amountCents, purchases, measures } = spent
  return {
    amountCents,
    purchases: String(purchases),
    ...(Object.keys(measures).length > 0 ? { measures } : {}),
  }
}
