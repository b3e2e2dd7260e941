import { type SQL, sql } from "drizzle-orm"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { listPredicates } from "../../shared/day/list-predicates.ts"
import { fromPurchases, type ShopDay, sumAmounts } from "../../shared/day/shop-day.ts"
import { findErrno } from "../../shared/errors.ts"
import type { Range } from "../../shared/range.ts"

// ER_WARN_DATA_OUT_OF_RANGE: "Out of range value for column 'amount_cents' at row 1" names no user.
const OUT_OF_RANGE = 1264
// ER_BAD_NULL_ERROR: the sum of a user one of whose amounts is no whole number of minor units.
const NULL_SUM = 1048

const AMOUNT_MIN = "-9223372036854775808"
const AMOUNT_MAX = "9223372036854775807"

/**
 * Finds the user for whose sake a shard could not be written: a sum that does not fit into 64 bits, or that cannot be exact. Returns what is to
 * be said about it; undefined if the shard failed for another reason.
 */
export async function findUnfitUser(
  shop: Database,
  day: ShopDay,
  range: Range,
  error: unknown,
): Promise<string | undefined> {
  if (!isOfSum(error)) return undefined
  for await (const predicate of listPredicates(shop, day, range)) {
    const [row] = allRows<{ userId: string; amount: string | null; count: string }>(
      await shop.execute(selectUnfit(day, predicate)),
    )
    if (!row) continue
    if (row.amount === null) {
      return `user ${row.userId} has a purchase whose amount is no whole number of minor units, or NULL: correct it in the shop, or declare another scale, and rerun the shard`
    }
    return `user ${row.userId} spent ${row.amount} in ${row.count} purchases, which does not fit into 64 bits: correct them in the shop and rerun the shard`
  }
  return undefined
}

function selectUnfit(day: ShopDay, predicate: SQL): SQL {
  const { userId, amountCents } = purchases
  return sql`SELECT ${userId} AS userId, ${sumAmounts()} AS amount, COUNT(*) AS count ${fromPurchases(day)} WHERE ${predicate}
    GROUP BY ${userId} HAVING SUM(${amountCents}) NOT BETWEEN ${sql.raw(AMOUNT_MIN)} AND ${sql.raw(AMOUNT_MAX)} OR COUNT(*) > COUNT(${amountCents})
    ORDER BY ${userId} LIMIT 1`
}

function isOfSum(error: unknown): boolean {
  const errno = findErrno(error)
  return errno === OUT_OF_RANGE || errno === NULL_SUM
}
