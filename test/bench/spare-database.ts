import { createConnection } from "mysql2/promise"
import { createScratchDatabase } from "../../services/local/database/scratch-database.ts"
import { createShopTables } from "../../services/local/shop/shop-tables.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { allRows, type Database, openDatabase } from "../../shared/database/open-database.ts"
import type { Room } from "./fixture.ts"

/** A database of its own beside the room's, on the same server: Daybook's tables, and no cloud around it. */
export interface SpareDatabase {
  url: string
  db: Database
  query: Room["query"]
}

export async function withSpareDatabase<T>(room: Room, use: (spare: SpareDatabase) => Promise<T>): Promise<T> {
  const scratch = await createScratchDatabase(room.databaseUrl)
  try {
    await migrateDatabase(scratch.url)
    // One connection: what it reads is counted.
    const { db, close } = openDatabase({ url: scratch.url, connectionsMax: 1 })
    try {
      return await use({
        url: scratch.url,
        db,
        query: async <Row>(statement: string) => allRows<Row>(await db.execute(statement)),
      })
    } finally {
      await close()
    }
  } finally {
    await scratch.drop()
  }
}

/** The shop's tables, empty. */
export async function addShopTables(url: string): Promise<void> {
  const connection = await createConnection({ uri: url })
  try {
    await createShopTables(connection)
  } finally {
    await connection.end()
  }
}
