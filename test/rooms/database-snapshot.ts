import type { Connection, RowDataPacket } from "mysql2/promise"

/*
 * A database that goes back in time, by a restore, or a failover to a replica which had not got everything: what was
 * committed since some moment is gone. Buckets and messages know of more than it does.
 */

/** What Daybook's tables held at a moment. */
export type Snapshot = Map<string, { columns: string[]; rows: unknown[][] }>

/** Of a database of a shop's purchases and users: all other tables. */
export async function listOwnTables(connection: Connection): Promise<Map<string, string[]>> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT TABLE_NAME AS name, COLUMN_NAME AS col FROM information_schema.COLUMNS
     JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME)
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND COALESCE(GENERATION_EXPRESSION, '') = ''
       AND TABLE_NAME NOT IN ('users', 'purchases', 'audit', 'daybook_migrations')
     ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  )
  const tables = new Map<string, string[]>()
  for (const { name, col } of rows) tables.set(String(name), [...(tables.get(String(name)) ?? []), String(col)])
  return tables
}

/** All tables as of one moment. */
export async function takeSnapshot(connection: Connection, tables: Map<string, string[]>): Promise<Snapshot> {
  const snapshot: Snapshot = new Map()
  await connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
  await connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
  for (const [table, columns] of tables) {
    const [rows] = await connection.query<RowDataPacket[][]>({
      sql: `SELECT ${columns.map((column) => `\`${column}\``).join()} FROM \`${table}\``,
      rowsAsArray: true,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
    })
    snapshot.set(table, { columns, rows })
  }
  await connection.query("COMMIT")
  return snapshot
}

/** Puts the tables back, in one transaction. */
export async function restoreSnapshot(connection: Connection, snapshot: Snapshot): Promise<void> {
  await connection.query("START TRANSACTION")
  for (const [table, { columns, rows }] of snapshot) {
    await connection.query(`DELETE FROM \`${table}\``)
    const names = columns.map((column) => `\`${column}\``).join()
    if (rows.length > 0) await connection.query(`INSERT INTO \`${table}\` (${names}) VALUES ?`, [rows])
  }
  await connection.query("COMMIT")
}
