import { readConfig } from "../../shared/config/read-config.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"
import { migrateDatabase } from "../migrate/migrate-database.ts"
import type { CloudOptions } from "./cloud-options.ts"
import { createScratchDatabase, ensureDatabase, type ScratchDatabase } from "./database/scratch-database.ts"
import { type DatabaseServer, startDatabaseServer } from "./database/start-server.ts"
import { requireFreePort } from "./free-port.ts"

/** Whichever of the two it is: a server of its own, or a database on somebody's. */
export interface StartedDatabase {
  databaseServer?: DatabaseServer
  scratch?: ScratchDatabase
}

const DATABASE = "daybook"

/** Starts a server, or makes a database on the one that is given. Returns the URL of a migrated database. */
export async function startDatabase(options: CloudOptions, started: StartedDatabase): Promise<string> {
  let url: string
  if (options.databaseUrl === undefined) {
    const port = options.ports?.database
    if (port) await requireFreePort(port, "the database")
    // It is ended after those who use it, so its own signal is for its start only.
    const starting = new AbortController()
    const abort = () => starting.abort(options.signal?.reason)
    options.signal?.addEventListener("abort", abort, { once: true })
    started.databaseServer = await startDatabaseServer({
      folder: options.folder,
      kind: options.databaseKind,
      ...(options.databaseOptions ? { serverOptions: options.databaseOptions } : {}),
      signal: starting.signal,
      ...(port ? { port } : {}),
      ...(options.log ? { log: options.log } : {}),
    })
    options.signal?.removeEventListener("abort", abort)
    options.log?.(`${started.databaseServer.name} runs on port ${started.databaseServer.port}`)
    url = await ensureDatabase(started.databaseServer.url, DATABASE)
  } else {
    started.scratch = await createScratchDatabase(options.databaseUrl)
    url = started.scratch.url
  }
  const { SHOP_FILE: layout } = readConfig(shopSettings, { ...process.env, ...options.settings })
  await migrateDatabase(url, {}, { layout })
  return url
}
