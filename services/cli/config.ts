import { readConfig } from "../../shared/config/read-config.ts"
import { bucketSettings, databaseSettings, googleSettings, retentionSettings } from "../../shared/config/settings.ts"

// Each command asks for no more than it uses: to publish a request takes no database. See also shop-config.ts.

/** To forget what is old. */
export function readRetentionConfig(env: NodeJS.ProcessEnv) {
  return readConfig({ ...databaseSettings, ...bucketSettings, ...retentionSettings }, env)
}

/** To publish a request. */
export function readPublishConfig(env: NodeJS.ProcessEnv) {
  return readConfig(googleSettings, env)
}
