import type { ServerKind } from "./database/find-server.ts"
import type { DatabaseServerOptions } from "./database/start-server.ts"
import type { EmulatorName } from "./start-emulators.ts"

export interface CloudOptions {
  /** Holds `bucket`, `logs` and the database's data; made if it does not exist. A later cloud may take it over. */
  folder: string
  /** A server to use instead of a private one; on it, a database is made and dropped in the end. */
  databaseUrl?: string
  /** Which private one: by default what DATABASE_SERVER says, else whichever is found. */
  databaseKind?: ServerKind | undefined
  /** Further options of a private one. */
  databaseOptions?: DatabaseServerOptions["serverOptions"]
  /** Where planner.cjs, worker.cjs and finalizer.cjs are, such as in the image; built unless given. */
  programsFolder?: string
  /** Fixed ports; what is not given, or 0, gets a free one. */
  ports?: Partial<Record<EmulatorName | "database", number>>
  /** Tasks of an execution that run at once; as many as processors by default. */
  parallelism?: number
  /** Tries of a task after the first; 10 by default, which is Cloud Run's most. */
  maxRetries?: number
  /** For one try of a task; 600 s by default. */
  taskTimeoutSeconds?: number
  /**
   * Further environment of services and tasks, such as SHARD_PURCHASES or REVENUE_TIME_ZONE. What begins with NOTIFY_ is the
   * notifier's alone, which runs where that is set.
   */
  settings?: Record<string, string>
  /** Deliveries of a message after which it is a dead letter; 30 by default, about two minutes. */
  deliveryAttemptsMax?: number
  /** Topics, subscriptions and messages are there again when a cloud is started on the folder. */
  keepState?: boolean
  /** The page of the days as well; on a port of its own, or any with 0. */
  pagePort?: number | undefined
  /** Between two sweeps; 5 by default, 0 for none. */
  sweepSeconds?: number
  /** What a service that keeps ending waits for at most before it is started again; 5,000 by default. */
  restartMaxMs?: number
  /** What happens, a line each. */
  log?: (line: string) => void
  /** Stops the cloud, or gives up starting it. */
  signal?: AbortSignal
}
