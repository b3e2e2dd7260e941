import * as v from "valibot"
import { readConfig, text } from "../../shared/config/read-config.ts"
import {
  bucketSettings,
  databaseSettings,
  daySettings,
  firstDateSettings,
  googleSettings,
  sourceSettings,
} from "../../shared/config/settings.ts"
import { readSettings, shopSettings } from "../../shared/config/shop-settings.ts"

// Of commands that read the shop or show its amounts. They are apart because what a declaration is read with loads drizzle.

/** To print what the shop's tables need: it takes no database. */
export function readDeclarationConfig(env: NodeJS.ProcessEnv) {
  return readConfig(shopSettings, env)
}

/** To compare versions. */
export function readDiffConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...shopSettings }, env)
}

/** To look at the shop. */
export function readShopConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...sourceSettings, ...shopSettings, ...readSettings, ...daySettings }, env)
}

/** To forget a user. */
export function readForgetConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...sourceSettings, ...shopSettings, ...bucketSettings }, env)
}

/** To publish a request and wait for what comes of it. */
export function readWatchConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...googleSettings, ...databaseSettings, ...shopSettings, ...bucketSettings }, env)
}

/** To look at runs: they are in the database, and the bucket is only named. */
export function readStatusConfig(env: NodeJS.ProcessEnv) {
  return readConfig(
    {
      ...databaseSettings,
      ...shopSettings,
      ...daySettings,
      ...firstDateSettings,
      BUCKET: bucketSettings.BUCKET,
      LOCAL_FOLDER: v.optional(text("the data folder of a local cloud, to say where its files are")),
    },
    env,
  )
}
