import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import { publishRequest } from "../../shared/messages/publish-request.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { readPageConfig } from "./config.ts"
import { servePage } from "./serve-page.ts"
import { openViewerVerifier } from "./verify-viewer.ts"

// A few people look, and a view asks for little.
const CONNECTIONS_MAX = 2

/** The page: shows the days, and, where it may publish, takes what a person asks for. It never writes the ledger. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readPageConfig(env)
  const log = await createLog("page", config.LOG_LEVEL, config.GOOGLE_CLOUD_PROJECT)
  const database = openDatabase({
    ...(await routeDatabase(config)),
    connectionsMax: CONNECTIONS_MAX,
    readOnly: true,
  })
  const pubsub = config.PAGE_ACTIONS === "publish" ? openPubSub(config) : undefined
  const { IAP_AUDIENCE: audience, IAP_KEYS_URL: keysUrl } = config
  const page = await servePage({
    db: database.db,
    bucket: openBucket(config),
    log,
    port: config.PORT,
    host: config.HOST,
    settings: {
      timeZone: config.REVENUE_TIME_ZONE,
      firstDate: config.FIRST_DATE,
      deadline: config.DEADLINE,
      scale: config.SHOP_FILE.scale,
    },
    project: config.GOOGLE_CLOUD_PROJECT,
    databaseUrl: config.DATABASE_URL,
    localFolder: config.LOCAL_FOLDER,
    verify: audience === undefined ? undefined : openViewerVerifier({ audience, keysUrl }),
    publish: pubsub && (({ topic, data }, asker) => publishRequest(pubsub, topic, data, asker)),
  })
  log.info({ url: page.url, audience, actions: config.PAGE_ACTIONS }, "listening")
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
  await page.close()
  await Promise.all([database.close(), pubsub?.close()])
  return 0
}

if (import.meta.main) void runProcess(run)
