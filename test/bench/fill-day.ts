import type { Room } from "./fixture.ts"

// A statement is a transaction, and a bigger one is not faster.
const ROWS_PER_STATEMENT = 100_000

/**
 * Adds `purchases` purchases to a date, of the users that an SQL expression gives for `n`, from 0. The tables must be
 * there. Everything is made inside the database.
 */
export async function fillDay(
  { query }: Pick<Room, "query">,
  date: string,
  purchases: number,
  user: string,
): Promise<void> {
  for (let from = 0; from < purchases; from += ROWS_PER_STATEMENT) {
    const rows = Math.min(ROWS_PER_STATEMENT, purchases - from)
    await query(`INSERT INTO purchases (user_id, amount_cents, purchased_at)
      WITH digits AS (${digits}),
      numbers AS (SELECT ${from} + a.d + b.d * 10 + c.d * 100 + d.d * 1000 + e.d * 10000 AS n
        FROM digits a, digits b, digits c, digits d, digits e)
      SELECT ${user}, 100 + MOD(n, 9000), '${date} 00:00:00' + INTERVAL MOD(n, 86400) SECOND
      FROM numbers WHERE n < ${from + rows}`)
  }
  await query("ANALYZE TABLE purchases")
}

const digits = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(" UNION ALL ")
