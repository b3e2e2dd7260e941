import type { Shop } from "../../schemas/database/shop.ts"
import type { Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import { compareTotals, type UserChange } from "./compare-totals.ts"
import { readRowTotals } from "./read-totals.ts"
import type { Sums } from "./totals.ts"
import { formatDigits, sumsFields } from "./totals-fields.ts"

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
  return formatDigits({ ...key, before: lineFields(before), after: lineFields(after) })
}

function lineFields(sums: Sums | undefined) {
  if (!sums) return null
  const { measures, ...fields } = sumsFields(sums)
  return Object.keys(measures).length > 0 ? { ...fields, measures } : fields
}
