import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createServer } from "node:http"
import { type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { vi } from "vitest"
import { formatJson } from "../../schemas/json.ts"
import { DayChangeSchema } from "../../schemas/messages/day_change_pb.ts"
import { buildServices } from "../../services/build/build-services.ts"
import { startOrphanGuard } from "../../services/emulators/processes/orphan-guard.ts"
import { startPubSub } from "../../services/emulators/pubsub/server.ts"
import { startPushSigner } from "../../services/emulators/push-token.ts"
import { type ServiceProcess, startService } from "../../services/local/service-process.ts"
import { applyTopology } from "../../services/provision/apply-topology.ts"
import { describeTopology } from "../../services/provision/topology.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { topics } from "../../shared/messages/topics.ts"

const SUBSCRIPTION = "projects/local/subscriptions/notify-day-changes"
const ACCOUNT = "daybook-push@local.iam.gserviceaccount.com"
const AUDIENCE = "https://notify.example"

/** What stands between Pub/Sub and the notifier: called with a delivery, and with its answer before Pub/Sub has it. */
interface PushSteps {
  pushed?: () => unknown
  answered?: (status: number) => unknown
}

export type Notifier = Awaited<ReturnType<typeof startNotifier>>

/**
 * The notifier as a process, with the program that is deployed, and a Pub/Sub that pushes to it. `asInCloud` lets it not know
 * that its Pub/Sub is a local one: loopback is refused.
 */
export async function startNotifier(
  settings: Record<string, string>,
  { deliveryAttemptsMax = 100, asInCloud = false }: { deliveryAttemptsMax?: number; asInCloud?: boolean } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), "daybook-notify-"))
  const programs = await buildServices()
  const guard = startOrphanGuard()
  const signer = await startPushSigner()
  const pubsubServer = await startPubSub({ pushTokens: signer.sign })
  const google = { GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: `127.0.0.1:${pubsubServer.port}` }
  const service: ServiceProcess = await startService({
    name: "notify",
    command: [process.execPath, programs.notify],
    env: {
      ...(asInCloud ? { GOOGLE_CLOUD_PROJECT: "local" } : google),
      PUSH_AUDIENCE: AUDIENCE,
      PUSH_ACCOUNTS: ACCOUNT,
      PUSH_CERTS_URL: signer.certsUrl,
      ...settings,
    },
    logFile: join(folder, "notify.log"),
    guard,
    restartMaxMs: 50,
    log: () => {},
  })
  const steps: PushSteps = {}
  const relay = createServer((request, response) => {
    void (async () => {
      try {
        const parts = await Array.fromAsync(request as AsyncIterable<Buffer>)
        await steps.pushed?.()
        const { authorization = "", "content-type": contentType = "" } = request.headers
        const answer = await fetch(`${service.url}${request.url}`, {
          method: "POST",
          headers: { authorization, "content-type": contentType },
          body: Buffer.concat(parts),
        })
        await answer.arrayBuffer()
        await steps.answered?.(answer.status)
        response.writeHead(answer.status).end()
      } catch {
        // The notifier is gone, or its answer is.
        response.destroy()
      }
    })()
  })
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve))
  const nowhere = "http://127.0.0.1:1"
  await applyTopology(
    google,
    describeTopology({
      plannerUrl: nowhere,
      finalizerUrl: nowhere,
      notifyUrl: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
      pushServiceAccount: ACCOUNT,
      pushAudience: AUDIENCE,
      retry: { minSeconds: 0.05, maxSeconds: 0.2 },
      deliveryAttemptsMax,
    }),
  )
  const pubsub = openPubSub(google)
  const topic = pubsub.topic(topics.dayChanges, { batching: { maxMessages: 1 } })
  let lastChange = 0

  return {
    service,
    /** Set what a test does at a step. */
    steps,
    /** Publishes a change as the finalizer does, and returns its number. */
    publish: async (change: MessageInitShape<typeof DayChangeSchema>): Promise<string> => {
      const changeId = String(++lastChange)
      const whole = { changeId, date: "2026-11-22", changedAt: new Date().toISOString(), runId: "", ...change }
      await topic.publishMessage({ data: Buffer.from(formatJson(DayChangeSchema, whole)) })
      return changeId
    },
    /** Waits until every message has been acknowledged, or is a dead letter. */
    untilIdle: () =>
      vi.waitFor(
        () => {
          const { undelivered, outstanding } = pubsubServer.backlog(SUBSCRIPTION)
          if (undelivered + outstanding > 0) throw new Error(`${undelivered + outstanding} messages are left`)
        },
        { timeout: 50_000, interval: 10 },
      ),
    deadLetters: () => pubsubServer.messages(`projects/local/topics/${topics.deadLetters}`),
    readLog: () => readFile(service.logFile, "utf8"),
    stop: async () => {
      await service.stop()
      await pubsub.close()
      relay.closeAllConnections()
      await new Promise((resolve) => relay.close(resolve))
      await pubsubServer.stop()
      await signer.stop()
      await guard.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
