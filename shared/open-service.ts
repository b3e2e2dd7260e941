import type { Topic } from "@google-cloud/pubsub"
import { openShop } from "../schemas/database/shop.ts"
import type { ShopLayout } from "../schemas/database/shop-layout.ts"
import { explainDatabaseError } from "./database/explain-database-error.ts"
import { openDatabase } from "./database/open-database.ts"
import { openSource } from "./database/open-source.ts"
import { routeDatabase } from "./database/route-database.ts"
import { openBucket } from "./google/open-bucket.ts"
import { openPubSub } from "./google/open-pubsub.ts"
import { type PushServerOptions, startPushServer } from "./messages/push-server.ts"
import { openTokenVerifier } from "./messages/verify-push-token.ts"
import { createLog } from "./telemetry/log.ts"
import { openTelemetry } from "./telemetry/open-telemetry.ts"

// Some statements that wait for one table would take all connections, and nothing else could be done: they fail, and are
// tried again with their message or duty.
const TABLE_WAIT_SECONDS_MAX = 20

/** What the environment says to a service that takes pushes. */
type ServiceConfig = Parameters<typeof openTelemetry>[0] &
  Parameters<typeof routeDatabase>[0] &
  Parameters<typeof openSource>[0] &
  Parameters<typeof openPubSub>[0] &
  Parameters<typeof openBucket>[0] &
  Parameters<typeof openTokenVerifier>[0] & {
    GOOGLE_CLOUD_PROJECT: string
    SHOP_FILE: ShopLayout
    LOG_LEVEL: Parameters<typeof createLog>[1]
    DATABASE_CONNECTIONS: number
    PORT: number
    HOST: string
  }

/** Opens what a service works with. `serve` takes pushes and calls until the signal, and closes everything. */
export async function openService(name: string, config: ServiceConfig) {
  const log = await createLog(name, config.LOG_LEVEL, config.GOOGLE_CLOUD_PROJECT)
  const telemetry = await openTelemetry(config, name, log)
  const database = openDatabase({
    ...(await routeDatabase(config)),
    connectionsMax: config.DATABASE_CONNECTIONS,
    tableWaitSecondsMax: TABLE_WAIT_SECONDS_MAX,
  })
  const shopDatabase = await openSource(config, database, config.DATABASE_CONNECTIONS)
  const pubsub = openPubSub(config)
  /** One sentence about an error for the person who runs the service; undefined if they cannot put it right. */
  const explain = (error: unknown) => explainDatabaseError(error, config.DATABASE_URL, config.SOURCE_DATABASE_URL)
  return {
    log,
    explain,
    db: database.db,
    shop: openShop(config.SHOP_FILE),
    shopDb: shopDatabase.db,
    pubsub,
    bucket: openBucket(config),
    /** A topic whose messages are sent one by one, at once. */
    topic: (of: string): Topic => pubsub.topic(of, { batching: { maxMessages: 1 } }),
    serve: async (routes: Pick<PushServerOptions, "messages" | "calls">, signal: AbortSignal): Promise<void> => {
      const server = await startPushServer({
        port: config.PORT,
        host: config.HOST,
        log,
        flush: telemetry.flush,
        verify: openTokenVerifier(config),
        explain,
        ...routes,
      })
      log.info({ url: server.url }, "listening")
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
      // What is under way is finished first; what is not is delivered again.
      await server.close()
      await Promise.all([database.close(), shopDatabase.close(), pubsub.close(), telemetry.close()])
    },
  }
}
