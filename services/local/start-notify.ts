import { join } from "node:path"
import { hasStatus } from "../../shared/google/grpc-status.ts"
import { openPubSub, type PubSubSettings } from "../../shared/google/open-pubsub.ts"
import { NOTIFY_SUBSCRIPTION } from "../provision/topology.ts"
import { type ServiceOptions, type ServiceProcess, startService } from "./service-process.ts"

const NOTIFY_PREFIX = "NOTIFY_"

/** Keys and addresses of receivers are for the notifier alone, and not for planner, finalizer and tasks. */
export function splitSettings(settings: Record<string, string> = {}) {
  const isForNotify = ([name]: [string, string]) => name.startsWith(NOTIFY_PREFIX)
  const entries = Object.entries(settings)
  return {
    forNotify: Object.fromEntries(entries.filter(isForNotify)),
    forOthers: Object.fromEntries(entries.filter((entry) => !isForNotify(entry))),
  }
}

// Neither the database nor the bucket is among them, as in a deployment.
const sharedNames = new Set([
  "PATH",
  "HOME",
  "LOG_LEVEL",
  "SHOP_FILE",
  "PAGE_URL",
  "GOOGLE_CLOUD_PROJECT",
  "PUBSUB_EMULATOR_HOST",
  "PUSH_AUDIENCE",
  "PUSH_ACCOUNTS",
  "PUSH_CERTS_URL",
])

/** Starts the notifier if there are settings for it. Of the environment of the other services it gets what it needs. */
export async function startNotify(
  programs: string,
  forNotify: Record<string, string>,
  options: Omit<ServiceOptions, "name" | "command">,
): Promise<ServiceProcess | undefined> {
  if (Object.keys(forNotify).length === 0) return undefined
  const shared = Object.fromEntries(Object.entries(options.env).filter(([name]) => sharedNames.has(name)))
  return startService({
    ...options,
    name: "notify",
    command: [process.execPath, join(programs, "notify.cjs")],
    env: { ...shared, ...forNotify },
  })
}

/** Deletes the subscription of an earlier cloud on the same folder: nobody takes its messages any more. */
export async function disconnectNotify(settings: PubSubSettings): Promise<void> {
  const pubsub = openPubSub(settings)
  try {
    await pubsub.subscription(NOTIFY_SUBSCRIPTION).delete()
  } catch (error) {
    if (!hasStatus(error, "notFound")) throw error
  } finally {
    await pubsub.close()
  }
}
