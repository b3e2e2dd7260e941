import { type SQL, sql } from "drizzle-orm"
import { selectUser } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { listFilters } from "../../shared/day/list-filters.ts"
import {
  type DayFilter,
  groupByUser,
  isInexact,
  keyOf,
  type ShopDay,
  selectLines,
  sumAmounts,
} from "../../shared/day/shop-day.ts"
import { findErrno } from "../../shared/errors.ts"
import type { Range } from "../../shared/range.ts"

// ER_WARN_DATA_OUT_OF_RANGE: "Out of range value for column 'amount_cents' at row 1" names no user.
const OUT_OF_RANGE = 1264
// ER_BAD_NULL_ERROR: the sum of a user one of whose amounts is no whole number of minor units.
const NULL_SUM = 1048

const AMOUNT_MIN = "-9223372036854775808"
const AMOUNT_MAX = "9223372036854775807"

/**
 * Finds the user for whose sake a shard could not be written: a sum that does not fit into 64 bits, or that cannot be exact.
 * Returns what is to be said about it; undefined if the shard failed for another reason.
 */
export async function findUnfitUser(
  shopDb: Database,
  day: ShopDay,
  range: Range,
  error: unknown,
): Promise<string | undefined> {
  if (!isOfSum(error)) return undefined
  for await (const filter of listFilters(shopDb, day, range)) {
    const [row] = allRows<{ userId: string; amount: string | null; count: string; isIdUnfit: string | number }>(
      await shopDb.execute(selectUnfit(day, filter)),
    )
    if (!row) continue
    if (row.amount === null) {
      return `user ${row.userId} has a purchase whose amount is no whole number of minor units, or NULL: correct it in the shop, or declare another scale, and rerun the shard`
    }
    if (Number(row.isIdUnfit) === 1) {
      return `user ${row.userId} is beyond signed 64-bit integers: declare userType: bigint unsigned in a SHOP_FILE, migrate, and start the date anew`
    }
    return `user ${row.userId} spent ${row.amount} in ${row.count} purchases, which does not fit into 64 bits: correct them in the shop and rerun the shard`
  }
  return undefined
}

function selectUnfit(day: ShopDay, filter: DayFilter): SQL {
  const lines = selectLines(day, filter)
  const amounts = [lines.amount, ...lines.measures]
  const isBeyond = amounts.map(
    (amount) => sql`SUM(${amount}) NOT BETWEEN ${sql.raw(AMOUNT_MIN)} AND ${sql.raw(AMOUNT_MAX)}`,
  )
  const { userType } = lines.layout
  const isIdUnfit =
    userType.kind === "integer" && !userType.isUnsigned ? sql`${lines.userId} > ${sql.raw(AMOUNT_MAX)}` : sql`0`
  return sql`SELECT ${selectUser(userType, lines.userId)} AS userId, ${sumAmounts(lines)} AS amount,
    ${lines.purchases} AS count, ${isIdUnfit} AS isIdUnfit ${lines.from} ${groupByUser(lines)}
    HAVING ${sql.join(isBeyond, sql` OR `)} OR ${isInexact(amounts)} OR isIdUnfit = 1
    ORDER BY ${keyOf(lines)} LIMIT 1`
}

function isOfSum(error: unknown): boolean {
  const errno = findErrno(error)
  return errno === OUT_OF_RANGE || errno === NULL_SUM
}
