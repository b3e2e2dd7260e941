import type { Pool } from "mysql2"
import type { Database } from "../../shared/database/open-database.ts"
import type { ShopRun } from "../../shared/ledger/runs/find-runs.ts"
import type { TaskAttempt } from "../../shared/ledger/shards/find-shards.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import type { GoogleClients } from "./google-clients.ts"
import type { Pace } from "./pace.ts"

/** What a task works with, from its start to its end. */
export interface WorkContext {
  db: Database
  /** Where the shop is read; the database itself unless the shop is elsewhere. */
  shopDb: Database
  /** The same for streams of rows, if it is not the database. */
  shopPool: Pool | undefined
  /** Opens them when they are first asked for. */
  google: () => Promise<GoogleClients>
  log: Log
  run: ShopRun
  task: TaskAttempt
  pace: Pace
  crashesMax: number
  /** At its abort, the transaction under way is rolled back and retries end. */
  signal: AbortSignal
}
