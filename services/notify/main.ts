import { MalformedError } from "../../schemas/json.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import { type PushMessage, startPushServer } from "../../shared/messages/push-server.ts"
import { topics } from "../../shared/messages/topics.ts"
import { openTokenVerifier } from "../../shared/messages/verify-push-token.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { DeliveryError } from "../../shared/webhook/post-once.ts"
import { openReceiver } from "../../shared/webhook/receiver-settings.ts"
import { readNotifyConfig } from "./config.ts"
import { type NotifyContext, takeDayChange } from "./take-day-change.ts"

/** The notifier: posts what changes of days to a receiver. It keeps nothing, and needs neither database nor bucket. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readNotifyConfig(env)
  const log = await createLog("notify", config.LOG_LEVEL, config.GOOGLE_CLOUD_PROJECT)
  const receiver = openReceiver(config)
  const context: NotifyContext = {
    log,
    receiver,
    states: config.NOTIFY_STATES,
    project: config.GOOGLE_CLOUD_PROJECT,
    scale: config.SHOP_FILE.scale,
  }
  const server = await startPushServer({
    port: config.PORT,
    host: config.HOST,
    log,
    verify: openTokenVerifier(config),
    // What a receiver does is no fault in the code: its sentence is enough.
    explain: (error) => (error instanceof DeliveryError || error instanceof MalformedError ? error.message : undefined),
    messages: { [`/${topics.dayChanges}`]: (message: PushMessage) => takeDayChange(context, message) },
  })
  // Of the URL no more than the origin: the rest may be a password.
  log.info({ url: server.url, receiver: receiver.url.origin, states: [...config.NOTIFY_STATES] }, "listening")
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
  await server.close()
  return 0
}

if (import.meta.main) void runProcess(run)
