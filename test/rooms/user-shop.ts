/** The tables of a shop that knows no date of a purchase and has only an index of each user's purchases, empty. */
export const userShopTables = [
  "CREATE TABLE users (user_id BIGINT PRIMARY KEY)",
  `CREATE TABLE purchases (
    purchase_id BIGINT AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NULL,
    amount_cents BIGINT NOT NULL,
    purchased_at DATETIME NOT NULL,
    KEY purchases_by_user (user_id, purchased_at))`,
]

/** How a run reads such a shop. */
export const userShopRead = { sourceIndex: "purchases_by_user", accessPath: "user-batches" } as const

/**
 * Statements that fill it: 1,500 users with a purchase on each of `days` days, the last of which is the date; every
 * third bought nothing on the date, every fifth is not in `users`; one user makes a tenth of the date's purchases.
 * Some are refunds, some of guests.
 */
export function fillUserShop(date: string, days: number): string[] {
  const numbers = (count: number) => `WITH digits AS (${digits}), numbers AS
    (SELECT a.d + b.d * 10 + c.d * 100 + e.d * 1000 AS n FROM digits a, digits b, digits c, digits e HAVING n < ${count})
    SELECT`
  const amount = "IF(MOD(n, 11) = 0, -500, 100 + MOD(n, 97))"
  const insert = "INSERT INTO purchases (user_id, amount_cents, purchased_at)"
  const at = (of: string) => `'${of} 00:00:00' + INTERVAL MOD(n * 3671, 86400) SECOND`
  const before = Array.from({ length: days - 1 }, (_, index) => dayBefore(date, index + 1))
  return [
    `INSERT INTO users ${numbers(1500)} n * 7 - 3000 FROM numbers WHERE MOD(n, 5) > 0`,
    ...before.map((day) => `${insert} ${numbers(1500)} n * 7 - 3000, ${amount}, ${at(day)} FROM numbers`),
    `${insert} ${numbers(3000)} MOD(n, 1500) * 7 - 3000, ${amount}, ${at(date)} FROM numbers WHERE MOD(n, 3) > 0`,
    `${insert} ${numbers(220)} 4000, ${amount}, ${at(date)} FROM numbers`,
    `${insert} ${numbers(30)} NULL, ${amount}, ${at(date)} FROM numbers`,
    `${insert} VALUES (-9223372036854775808, 5, '${date} 12:00:00'), (9223372036854775807, 7, '${date} 12:00:00')`,
  ]
}

const digits = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(" UNION ALL ")

function dayBefore(date: string, days: number): string {
  return new Date(Date.parse(date) - days * 86_400_000).toISOString().slice(0, 10)
}
