import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { appendFile, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PubSub } from "@google-cloud/pubsub"
import { expect, it, onTestFinished } from "vitest"
import "./local-pubsub.ts"

async function startDoomed(stateFile: string): Promise<{ client: PubSub; kill: () => Promise<void> }> {
  const program = new URL("doomed-server.ts", import.meta.url).pathname
  const child: ChildProcess = spawn(process.execPath, [program, stateFile], { stdio: ["ignore", "pipe", "inherit"] })
  onTestFinished(() => void child.kill("SIGKILL"))
  const [line] = (await once(child.stdout!, "data")) as [Buffer]
  const client = new PubSub({
    projectId: "shop",
    apiEndpoint: `127.0.0.1:${line.toString().trim()}`,
    emulatorMode: true,
  })
  const kill = async () => {
    child.kill("SIGKILL")
    await once(child, "exit")
    await client.close()
  }
  return { client, kill }
}

/** Pulls until there is nothing for a while, acknowledging nothing. */
async function pullTexts(client: PubSub, name: string, count: number): Promise<string[]> {
  const subscription = client.subscription(name)
  const texts: string[] = []
  await new Promise<void>((resolve, reject) => {
    subscription.on("error", reject)
    subscription.on("message", (message: { data: Buffer }) => {
      texts.push(message.data.toString())
      if (texts.length === count) resolve()
    })
  })
  await subscription.close()
  return texts
}

it("what was answered is there after a SIGKILL: topics, subscriptions without a name, policies and every message", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daybook-killed-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const stateFile = join(folder, "pubsub.json")
  const sent: string[] = []
  for (let round = 1; round <= 3; round++) {
    const { client, kill } = await startDoomed(stateFile)
    if (round === 1) {
      await client.createTopic("kept")
      await client.topic("kept").createSubscription("all", { filter: 'attributes.kind = "a"' })
      await client
        .topic("kept")
        .iam.setPolicy({ bindings: [{ role: "roles/pubsub.publisher", members: ["allUsers"] }] })
    }
    // Answered a moment ago, and never pulled: nothing but the journal has it.
    const topic = client.topic("kept", { batching: { maxMessages: 1 } })
    for (let number = 1; number <= 5; number++) {
      const text = `${round}-${number}`
      const messageId = await topic.publishMessage({ data: Buffer.from(text), attributes: { kind: "a" } })
      expect(messageId).toMatch(/^\d+$/)
      sent.push(text)
    }
    await topic.publishMessage({ data: Buffer.from("filtered"), attributes: { kind: "b" } })
    await kill()
  }
  // A call that was being written when the process died was not answered.
  await appendFile(`${stateFile}.journal`, '{"sequence":99,"method":"Publish","request":{"topic":"proj')
  const { client, kill } = await startDoomed(stateFile)
  expect((await pullTexts(client, "all", sent.length)).toSorted()).toEqual(sent.toSorted())
  const [policy] = await client.topic("kept").iam.getPolicy()
  expect(policy.bindings).toMatchObject([{ role: "roles/pubsub.publisher", members: ["allUsers"] }])
  await kill()
})

it("a message has the id that its publisher was told, and none is given twice", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daybook-killed-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const stateFile = join(folder, "pubsub.json")
  const first = await startDoomed(stateFile)
  const [topic] = await first.client.createTopic("kept")
  const [subscription] = await topic.createSubscription("all")
  const told = await topic.publishMessage({ data: Buffer.from("x") })
  await first.kill()
  const second = await startDoomed(stateFile)
  const next = await second.client.topic("kept").publishMessage({ data: Buffer.from("y") })
  expect(BigInt(next) > BigInt(told)).toBe(true)
  const again = second.client.subscription(subscription.name)
  const ids = await new Promise<string[]>((resolve) => {
    const found: string[] = []
    again.on("message", (message: { id: string }) => {
      found.push(message.id)
      if (found.length === 2) resolve(found)
    })
  })
  await again.close()
  expect(ids.toSorted()).toEqual([told, next])
  await second.kill()
})
