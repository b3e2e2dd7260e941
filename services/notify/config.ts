import * as v from "valibot"
import { readConfig, text } from "../../shared/config/read-config.ts"
import { googleSettings, logSettings, pushSettings, serverSettings } from "../../shared/config/settings.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"
import { type DayState, dayStates } from "../../shared/webhook/describe-change.ts"
import { receiverSettings } from "../../shared/webhook/receiver-settings.ts"

const known = new Set<string>(dayStates)

export function readNotifyConfig(env: NodeJS.ProcessEnv) {
  return readConfig(
    {
      ...shopSettings,
      ...googleSettings,
      ...serverSettings,
      ...logSettings,
      ...pushSettings(env),
      ...receiverSettings(env),
      NOTIFY_STATES: v.optional(
        v.pipe(
          text(`the states that are notified, of ${dayStates.join(", ")}`),
          v.check((given) => splitStates(given).every((state) => known.has(state)), "names a state that there is not"),
          v.transform((given) => new Set(splitStates(given) as DayState[])),
        ),
        "late,held,incomplete,drifted",
      ),
    },
    env,
  )
}

/** By commas or spaces: what gcloud sets has no commas. */
function splitStates(given: string): string[] {
  return given.split(/[\s,]+/).filter(Boolean)
}
