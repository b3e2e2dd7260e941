import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { v1 } from "@google-cloud/pubsub"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { type PubSubServer, startPubSub } from "../../services/emulators/pubsub/server.ts"
import { refuseBreakingSchemas } from "../../services/provision/refuse-breaking.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"

const run = promisify(execFile)
const main = fileURLToPath(new URL("../../services/provision/main.ts", import.meta.url))

let emulator: PubSubServer
let schemas: v1.SchemaServiceClient
let subscriber: v1.SubscriberClient
const settings = () => ({ GOOGLE_CLOUD_PROJECT: "shop", PUBSUB_EMULATOR_HOST: `127.0.0.1:${emulator.port}` })

beforeAll(async () => {
  emulator = await startPubSub()
  const config = (await openPubSub(settings()).getClientConfig()) as ConstructorParameters<
    typeof v1.SchemaServiceClient
  >[0]
  schemas = new v1.SchemaServiceClient(config)
  subscriber = new v1.SubscriberClient(config)
})
afterAll(async () => {
  await Promise.all([schemas.close(), subscriber.close()])
  await emulator.stop()
})

/** Runs the build's topology step against the emulator. */
async function provision(...more: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const urls = ["--planner-url", "https://planner.example", "--finalizer-url", "https://finalizer.example"]
  const account = ["--push-account", "daybook-push@shop.iam.gserviceaccount.com"]
  const env = {
    ...process.env,
    PUBSUB_EMULATOR_HOST: settings().PUBSUB_EMULATOR_HOST,
    METADATA_SERVER_DETECTION: "none",
  }
  try {
    const output = await run(process.execPath, [main, "--project", "shop", ...urls, ...account, ...more], { env })
    return { code: 0, ...output }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

describe("the topology step", () => {
  it("says what it would do, does it, and then has nothing to do", async () => {
    const { stdout: plan } = await provision("--dry-run")
    expect(plan).toContain("would create topic run-requests\n")
    expect(emulator.subscriptions()).toEqual([])
    const { stdout: done } = await provision()
    expect(done).toBe(plan.replaceAll("would ", ""))
    expect((await provision()).stdout).toBe("up to date\n")
    const [push] = await subscriber.getSubscription({
      subscription: "projects/shop/subscriptions/planner-run-requests",
    })
    expect(push.pushConfig).toMatchObject({
      pushEndpoint: "https://planner.example/run-requests",
      oidcToken: {
        serviceAccountEmail: "daybook-push@shop.iam.gserviceaccount.com",
        audience: "https://planner.example",
      },
    })
  })

  it("subscribes the notifier only where its address is given", async () => {
    const names = () => emulator.subscriptions().map(({ name }) => name)
    const name = "projects/shop/subscriptions/notify-day-changes"
    expect(names()).not.toContain(name)
    const { stdout } = await provision("--notify-url", "https://notify.example")
    expect(stdout).toBe("create subscription notify-day-changes\n")
    const [push] = await subscriber.getSubscription({ subscription: name })
    expect(push).toMatchObject({
      topic: "projects/shop/topics/day-changes",
      pushConfig: {
        pushEndpoint: "https://notify.example/day-changes",
        oidcToken: { audience: "https://notify.example" },
      },
      retryPolicy: { minimumBackoff: { seconds: "10" }, maximumBackoff: { seconds: "600" } },
      deadLetterPolicy: { deadLetterTopic: "projects/shop/topics/dead-letters", maxDeliveryAttempts: 10 },
    })
  })

  it("puts back what somebody has changed, and names it", async () => {
    await subscriber.updateSubscription({
      subscription: { name: "projects/shop/subscriptions/planner-run-requests", ackDeadlineSeconds: 30 },
      updateMask: { paths: ["ack_deadline_seconds"] },
    })
    expect((await provision("--dry-run")).stdout).toBe(
      "would update subscription planner-run-requests (ack_deadline_seconds)\n",
    )
    expect((await provision()).stdout).toBe("update subscription planner-run-requests (ack_deadline_seconds)\n")
    expect((await provision()).stdout).toBe("up to date\n")
  })

  it("gives topics that a bootstrap made their schemas", async () => {
    const pubsub = openPubSub({ ...settings(), GOOGLE_CLOUD_PROJECT: "other" })
    await pubsub.createTopic("run-requests")
    const { stdout } = await provision("--project", "other")
    expect(stdout).toContain("update topic run-requests (labels, schema_settings, message_retention_duration)\n")
    await pubsub.close()
  })

  it("changes nothing and exits 1 when a contract in use would break", async () => {
    // What runs in the project has a date that is a number: this version's text cannot follow it.
    const name = "projects/shop/schemas/run-requests"
    const [now] = await schemas.getSchema({ name, view: "FULL" })
    const definition = (now.definition ?? "").replace("string date = 1", "int64 date = 1")
    expect(definition).not.toBe(now.definition)
    await schemas.commitSchema({ name, schema: { name, type: "PROTOCOL_BUFFER", definition } })
    await subscriber.deleteSubscription({ subscription: "projects/shop/subscriptions/dead-letters" })
    const { code, stderr, stdout } = await provision()
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/nothing was changed:\n.*run-requests\.proto.*date/)
    expect(emulator.subscriptions().map((subscription) => subscription.name)).not.toContain("dead-letters")
    await schemas.commitSchema({ name, schema: { name, type: "PROTOCOL_BUFFER", definition: now.definition ?? "" } })
    expect((await provision()).stdout).toBe("create subscription dead-letters\n")
  })

  it("asks for what it needs", async () => {
    const { stderr } = await run(process.execPath, [main, "--project", "shop"]).catch(
      (error: { stderr: string }) => error,
    )
    expect(stderr).toContain("--planner-url")
  })
})

describe("a schema", () => {
  const name = "contract"
  const text = (fields: string) => `syntax = "proto3";\nmessage Contract {\n${fields}\n}\n`
  const before = text("  string date = 1;\n  optional int64 count = 2;")
  beforeEach(async () => {
    await schemas.deleteSchema({ name: `projects/shop/schemas/${name}` }).catch(() => undefined)
    const schema = { type: "PROTOCOL_BUFFER" as const, definition: before }
    await schemas.createSchema({ parent: "projects/shop", schemaId: name, schema })
  })

  it.each([
    ["a field more", text("  string date = 1;\n  optional int64 count = 2;\n  optional string reason = 3;")],
    ["another comment", `// Changed.\n${before}`],
    ["a field less, its name and number kept", text('  string date = 1;\n  reserved 2;\n  reserved "count";')],
  ])("may follow with %s", async (_name, definition) => {
    await expect(refuseBreakingSchemas(settings(), [{ name, definition }])).resolves.toBeUndefined()
  })

  it.each([
    ["another type", text("  string date = 1;\n  optional string count = 2;")],
    ["another name", text("  string day = 1;\n  optional int64 count = 2;")],
    ["a field less", text("  string date = 1;")],
  ])("may not follow with %s", async (_name, definition) => {
    await expect(refuseBreakingSchemas(settings(), [{ name, definition }])).rejects.toThrow(/contract\.proto:\d+/)
  })

  it("that is not there yet breaks nothing", async () => {
    await expect(refuseBreakingSchemas(settings(), [{ name: "new", definition: before }])).resolves.toBeUndefined()
  })
})
