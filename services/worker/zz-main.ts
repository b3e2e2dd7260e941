import { openDatabase } from "../../shared/database.ts"
import { openPubSub } from "../../shared/pubsub-client.ts"
import { openBucket } from "../../shared/storage-client.ts"
import { openJobs } from "../../shared/run-client.ts"
import { createLog } from "../../shared/log.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import { readConfig } from "../../shared/read-config.ts"
import { databaseSettings, bucketSettings } from "../../shared/settings.ts"
void runProcess(async (env) => {
  const c = readConfig({ ...databaseSettings, ...bucketSettings }, env)
  const log = await createLog("x", "info")
  openDatabase({ url: c.DATABASE_URL, connectionsMax: 1 })
  openPubSub({ GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: "127.0.0.1:1" })
  openJobs({ GOOGLE_CLOUD_PROJECT: "local", RUN_EMULATOR_HOST: "127.0.0.1:1" })
  openBucket(c)
  log.info({ up: Math.round(performance.now()) }, "up")
  return 0
})
