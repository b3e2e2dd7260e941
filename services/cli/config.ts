import * as v from "valibot"
import { readConfig, text } from "../../shared/config/read-config.ts"
import {
  bucketSettings,
  databaseSettings,
  daySettings,
  firstDateSettings,
  googleSettings,
  retentionSettings,
  sourceSettings,
} from "../../shared/config/settings.ts"

// Each command asks for no more than it uses: to publish a request takes no database.

export type WatchConfig = ReturnType<typeof readWatchConfig>

/** To compare versions. */
export function readDatabaseConfig(env: NodeJS.ProcessEnv) {
  return readConfig(databaseSettings, env)
}

/** To look at the shop. */
export function readShopConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...sourceSettings, ...daySettings }, env)
}

/** To forget a user. */
export function readForgetConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...sourceSettings, ...bucketSettings }, env)
}

/** To forget what is old. */
export function readRetentionConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...bucketSettings, ...retentionSettings }, env)
}

/** To publish a request. */
export function readPublishConfig(env: NodeJS.ProcessEnv) {
  return readConfig(googleSettings, env)
}

/** To publish a request and wait for what comes of it. */
export function readWatchConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...googleSettings, ...databaseSettings, ...bucketSettings }, env)
}

/** To look at runs: they are in the database, and the bucket is only named. */
export function readStatusConfig(env: NodeJS.ProcessEnv) {
  return readConfig(
    {
      ...databaseSettings,
      ...daySettings,
      ...firstDateSettings,
      BUCKET: bucketSettings.BUCKET,
      LOCAL_FOLDER: v.optional(text("the data folder of a local cloud, to say where its files are")),
    },
    env,
  )
}
