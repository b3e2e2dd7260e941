import { type DatabaseConnection, openDatabase } from "./open-database.ts"
import { routeSource, type SourceSettings } from "./route-database.ts"

/**
 * Opens where the shop is read: another server if the settings name one, such as a read replica, and else the database
 * itself. On another server nothing can be written through it.
 */
export async function openSource(
  settings: SourceSettings,
  database: DatabaseConnection,
  connectionsMax: number,
): Promise<DatabaseConnection> {
  const route = await routeSource(settings)
  // Whoever opened the database closes it.
  if (!route) return { ...database, close: async () => {} }
  return openDatabase({ ...route, connectionsMax, readOnly: true })
}
