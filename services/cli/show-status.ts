import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { readStatusConfig } from "./shop-config.ts"
import { showDays } from "./show-days.ts"
import type { Terminal } from "./terminal.ts"

export interface StatusOptions {
  /** List runs rather than days. */
  runs: boolean
  /** How many runs the list has at most. */
  limit: number
  /** First and last day of the list. */
  from: string | undefined
  to: string | undefined
  /** Show progress until the run has its verdict. */
  watch: boolean
  json: boolean
}

/** `daybook status`: the days, the newest runs, or one run in detail; each loads what it needs. */
export async function showStatus(
  name: string | undefined,
  options: StatusOptions,
  terminal: Terminal,
): Promise<number> {
  const config = readStatusConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  const { db } = database
  try {
    if (name) {
      const { showRun } = await import("./show-run.ts")
      return await showRun(db, name, config, options, terminal)
    }
    if (!options.runs) return await showDays(db, config, options, terminal)
    const { listRuns } = await import("./list-runs.ts")
    return await listRuns(db, { ...options, scale: config.SHOP_FILE.scale }, terminal)
  } finally {
    await database.close()
  }
}
