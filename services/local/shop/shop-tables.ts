import type { Connection, RowDataPacket } from "mysql2/promise"

// The comment of both tables from their creation to the end of the loading; that of `users` stays until the last step.
const LOADING = "a shop being made by Daybook"

const dayIndex = "INDEX purchases_day_slice (purchased_on, user_id, purchased_at, amount_cents)"

/** The tables of a shop: what Daybook needs of one, and a few columns that any shop has. */
export async function createShopTables(connection: Connection): Promise<void> {
  await createTables(connection, `, ${dayIndex}`, "")
}

/** The same without the index: rows are loaded faster, and the index is built from all of them at once. */
export async function createTablesToLoad(connection: Connection): Promise<void> {
  await createTables(connection, "", LOADING)
}

/** Makes a loaded shop whole. */
export async function finishTables(connection: Connection): Promise<void> {
  await connection.query(`ALTER TABLE purchases ADD ${dayIndex}, COMMENT = ''`)
  // The optimizer knows nothing yet of rows that came this fast.
  await connection.query("ANALYZE TABLE users, purchases")
  await connection.query("ALTER TABLE users COMMENT = ''")
}

/** Whether the database holds a shop, or one whose loading never came to its end. */
export async function findShop(connection: Connection): Promise<"none" | "unfinished" | "whole"> {
  const [tables] = await connection.query<RowDataPacket[]>(
    "SELECT TABLE_COMMENT AS comment FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ('purchases', 'users')",
  )
  if (tables.length === 0) return "none"
  return tables.some((table) => table["comment"] === LOADING) ? "unfinished" : "whole"
}

export async function dropUnfinishedShop(connection: Connection): Promise<void> {
  if ((await findShop(connection)) === "unfinished") await connection.query("DROP TABLE IF EXISTS purchases, users")
}

async function createTables(connection: Connection, index: string, comment: string): Promise<void> {
  await connection.query(`CREATE TABLE users (
    user_id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    email VARCHAR(100) NOT NULL,
    country CHAR(2) NOT NULL
  ) CHARACTER SET utf8mb4 COMMENT = '${comment}'`)
  await connection.query(`CREATE TABLE purchases (
    purchase_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NULL,
    amount_cents BIGINT NOT NULL,
    purchased_at DATETIME NOT NULL,
    purchased_on DATE AS (DATE(purchased_at)) VIRTUAL,
    channel VARCHAR(8) NOT NULL DEFAULT 'web'
    ${index}
  ) CHARACTER SET utf8mb4 COMMENT = '${comment}'`)
}
