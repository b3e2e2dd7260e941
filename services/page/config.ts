import * as v from "valibot"
import { readConfig, text } from "../../shared/config/read-config.ts"
import {
  bucketSettings,
  databaseSettings,
  daySettings,
  deadlineSettings,
  firstDateSettings,
  googleSettings,
  logSettings,
  serverSettings,
} from "../../shared/config/settings.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"

/** Who may look is asked wherever Pub/Sub is Google's: a page that asked nobody would show the shop's revenue to all. */
export function readPageConfig(env: NodeJS.ProcessEnv) {
  const audience = text("the audience of IAP: /projects/NUMBER/locations/REGION/services/SERVICE")
  return readConfig(
    {
      ...databaseSettings,
      ...shopSettings,
      ...googleSettings,
      ...bucketSettings,
      ...serverSettings,
      ...logSettings,
      ...daySettings,
      ...firstDateSettings,
      ...deadlineSettings,
      PAGE_ACTIONS: v.optional(v.picklist(["none", "publish"], "is not none or publish"), "none"),
      IAP_AUDIENCE: env["PUBSUB_EMULATOR_HOST"] === undefined ? audience : v.optional(audience),
      IAP_KEYS_URL: v.optional(text("where the keys of IAP are, as a JSON Web Key Set, instead of Google's")),
      LOCAL_FOLDER: v.optional(text("the data folder of a local cloud, to say where its files are")),
    },
    env,
  )
}
