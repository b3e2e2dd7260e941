import type { Pool } from "mysql2"
import type { Database } from "../../shared/database/open-database.ts"
import type { Run } from "../../shared/ledger/find-runs.ts"
import type { TaskAttempt } from "../../shared/ledger/find-shards.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import type { GoogleClients } from "./google-clients.ts"
import type { Pace } from "./pace.ts"

/** What a task works with, from its start to its end. */
export interface WorkContext {
  db: Database
  /** Where the shop is read, if not in the database. */
  source: Pool | undefined
  /** The same for single statements; the database itself unless the shop is elsewhere. */
  shop: Database
  /** Opens them when they are first asked for. */
  google: () => Promise<GoogleClients>
  log: Log
  run: Run
  task: TaskAttempt
  pace: Pace
  crashesMax: number
  /** At its abort, the transaction under way is rolled back and retries end. */
  signal: AbortSignal
}
