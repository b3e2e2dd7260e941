import { readConfig } from "../../shared/config/read-config.ts"
import { databaseSettings } from "../../shared/config/settings.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { ConfigurationError, describeError } from "../../shared/errors.ts"
import { migrateDatabase } from "./migrate-database.ts"

const help = `Usage: npm run migrate

Creates Daybook's own tables and the view "revenue" in the shop's database, or brings them to the newest version.
The shop's own tables are not touched. It may be run again at any time.

Environment:
  DATABASE_URL        mysql://user:password@host:port/database
  CLOUD_SQL_INSTANCE  PROJECT:REGION:INSTANCE, if it is in Cloud SQL; without a password in DATABASE_URL, as IAM says
  SHOP_FILE           what the shop declares: it gives Revenue its key, its currency and its measures
  CLOUD_SQL_ADDRESS   which of its addresses: PUBLIC (if not set), PRIVATE or PSC`

if (import.meta.main) {
  if (process.argv.slice(2).some((argument) => argument === "--help" || argument === "-h")) console.log(help)
  else void main().then((code) => (process.exitCode = code)) // no top-level await in the CommonJS bundle of the image
}

async function main(): Promise<number> {
  try {
    const config = readConfig({ ...databaseSettings, ...shopSettings }, process.env)
    const route = await routeDatabase(config)
    const applied = await migrateDatabase(route.url, route, { layout: config.SHOP_FILE }).finally(() => route.close())
    for (const migration of applied) console.log(`applied ${migration}`)
    if (applied.length === 0) console.log("up to date")
    return 0
  } catch (error) {
    console.error(error instanceof ConfigurationError ? error.message : describeError(error))
    return 1
  }
}
