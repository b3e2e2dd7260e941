import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { startPubSub } from "../../../services/emulators/pubsub/server.ts"
import { PROJECT, startLocalPubSub } from "./local-pubsub.ts"

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-pubsub-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

it("with a state file topics, subscriptions, what is not acknowledged, schemas and snapshots are there after a restart", async () => {
  const stateFile = join(await makeFolder(), "pubsub.json")
  const first = await startLocalPubSub({ stateFile })
  const { topic, subscription } = await first.createPair({
    enableMessageOrdering: true,
    filter: 'attributes.kind = "a"',
  })
  await first.pubsub.createSchema(
    "kept",
    "AVRO",
    '{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}',
  )
  await first.publish(topic, ["done"], { attributes: { kind: "a" } })
  const [done] = await first.pullAll(subscription, 1)
  await first.subscriber.acknowledge({ subscription, ackIds: [done?.ackId ?? ""] })
  const sent = await first.publish(topic, ["one", "two"], { attributes: { kind: "a" }, orderingKey: "k" })
  await first.subscriber.createSnapshot({ name: `${PROJECT}/snapshots/kept`, subscription })
  await first.pullAll(subscription, 2)
  await first.stop()

  const second = await startLocalPubSub({ stateFile })
  onTestFinished(() => second.stop())
  const again = await second.pullAll(subscription, 2)
  expect(again.map(({ text, messageId }) => [text, messageId])).toEqual([
    ["one", sent[0]],
    ["two", sent[1]],
  ])
  expect(await second.pubsub.schema("kept").get()).toMatchObject({ type: "AVRO" })
  await second.subscriber.acknowledge({ subscription, ackIds: again.map(({ ackId }) => ackId) })
  await second.subscriber.seek({ subscription, snapshot: `${PROJECT}/snapshots/kept` })
  expect((await second.pullAll(subscription, 2)).map(({ text }) => text)).toEqual(["one", "two"])
  const [newer] = await second.publish(topic, ["three"], { attributes: { kind: "a" } })
  expect(Number(newer)).toBeGreaterThan(Number(sent[1]))
  await second.publish(topic, ["filtered"], { attributes: { kind: "b" } })
  expect((await second.pullAll(subscription, 1)).map(({ text }) => text)).toEqual(["three"])
})

it("a file that is none is told, and not overwritten", async () => {
  const stateFile = join(await makeFolder(), "pubsub.json")
  await writeFile(stateFile, "{")
  await expect(startPubSub({ stateFile })).rejects.toThrow("is not the state of a local Pub/Sub: delete it")
})
