import type { Connection } from "mysql2/promise"

/** Users of the tiny shop: with three purchases each, three shards of eight purchases or a little more. */
const USERS = 9
const PURCHASES_EACH = 3

/** Fills a date: signed amounts, ids at the ends of what a BIGINT holds, one guest. */
export async function fillDate(connection: Connection, date: string, users = USERS): Promise<void> {
  const rows: string[] = []
  for (let user = 0; user < users; user++) {
    const id = user === 0 ? "-9223372036854775808" : user === users - 1 ? "9223372036854775807" : String(user * 7)
    for (let n = 0; n < PURCHASES_EACH; n++) rows.push(`(${id}, ${n === 1 ? -50 : 100 + user}, '${date} 0${n}:30:00')`)
  }
  rows.push(`(NULL, 5, '${date} 12:00:00')`)
  await connection.query(`INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES ${rows.join(", ")}`)
}

/** Changes what one user spent, so that the next version of the date has other rows in one shard. */
export async function changePrice(connection: Connection, date: string, userId: number | string): Promise<void> {
  await connection.query(
    "UPDATE purchases SET amount_cents = amount_cents + 1 WHERE purchased_on = ? AND user_id = ? LIMIT 1",
    [date, userId],
  )
}

/** Changes what every user spent. */
export async function changePrices(connection: Connection, date: string): Promise<void> {
  await connection.query("UPDATE purchases SET amount_cents = amount_cents + 1 WHERE purchased_on = ?", [date])
}
