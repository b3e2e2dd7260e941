import { randomInt } from "node:crypto"
import { type SQL, sql } from "drizzle-orm"
import type { AnyMySqlColumn } from "drizzle-orm/mysql-core"
import { revenueVersions } from "../../schemas/database/revenue.ts"
import { purchases } from "../../schemas/database/shop.ts"

/*
 * The checksum that purchases, the rows computed from them and a manifest share:
 *
 *   over purchases  Σ (amount + 2^100) · w(user)
 *   over rows       Σ (amount + purchases · 2^100) · w(user)
 *
 * Both are the same number where the rows are right, since it is linear in each user's amount and count: so no grouping
 * is needed to compute it from the purchases, it takes constant memory, and it adds up over predicates.
 *
 * What differs for a user adds (Δamount + Δcount · 2^100) · w(user), which is zero for no difference but none: |Δamount|
 * stays below 2^100. That of several users is not seen only where these add up to zero, a linear equation in weights of
 * 63 bits, which are drawn anew for each run: before the run nobody can know which changes those would be.
 *
 * w is made of two CRC-32s because that is the only hash that both servers have (MySQL 9.6 has no MD5 any more), each of
 * the digits of the user id multiplied by secret numbers: CRC-32 alone is linear in its bits, so that changes of a
 * regular pattern could cancel each other. It all fits DECIMAL(65), for 10^10 purchases in a shard. Measured for 1,000,000
 * purchases on one connection: MariaDB 10.11 0.47 s instead of 0.18 s for count and sum, MySQL 9.7 0.58 s instead of
 * 0.23 s; the same with MD5 took MariaDB 1.26 s.
 */

/** Four odd numbers of 31 bits. */
export type Multipliers = readonly [number, number, number, number]

/** More than the purchases of a shard could add up to, and a power of two so that it is recognized: 2^100. */
const COUNT_WEIGHT = "1267650600228229401496703205376"

const MULTIPLIER_MIN = 2 ** 30

/** Draws the multipliers of a run, as the ledger and plan.json keep them. */
export function drawMultipliers(): string {
  return Array.from({ length: 4 }, () => randomInt(MULTIPLIER_MIN / 2, MULTIPLIER_MIN) * 2 + 1).join(",")
}

/** Of a run that was begun by an older version of Daybook, which had none, all are 1. */
export function parseMultipliers(text: string | null): Multipliers {
  const [a = 1, b = 1, c = 1, d = 1] = text?.split(",").map(Number) ?? []
  return [a, b, c, d]
}

/** The checksum of purchases, as an aggregate. */
export function checksumOfPurchases(multipliers: Multipliers): SQL {
  const { userId, amountCents } = purchases
  return sql`COALESCE(SUM((${amountCents} + ${sql.raw(COUNT_WEIGHT)}) * ${weightOf(userId, multipliers)}), 0)`
}

/** The checksum of Revenue rows, as an aggregate. */
export function checksumOfRows(multipliers: Multipliers): SQL {
  const { userId, amountCents, purchases: count } = revenueVersions
  return sql`COALESCE(SUM((${amountCents} + ${count} * ${sql.raw(COUNT_WEIGHT)}) * ${weightOf(userId, multipliers)}), 0)`
}

/** Below 2^63. `&` and `>>` take a negative id as the unsigned number of the same bits. */
function weightOf(userId: AnyMySqlColumn, [a, b, c, d]: Multipliers): SQL {
  const hash = (low: number, high: number) =>
    sql`CRC32((${userId} & 4294967295) * ${sql.raw(String(low))} + (${userId} >> 32) * ${sql.raw(String(high))})`
  return sql`(${hash(a, b)} * 2147483648 + (${hash(c, d)} >> 1))`
}
