import { setImmediate as turn } from "node:timers/promises"
import { array, assert, asyncProperty, boolean, constant, constantFrom, nat, oneof, record } from "fast-check"
import { expect, it } from "vitest"
import { ManualClock } from "../../../services/emulators/clock.ts"
import { Backlog, type Consumer, type Delivery } from "../../../services/emulators/pubsub/backlog.ts"
import type { PublishedMessage } from "../../../services/emulators/pubsub/messages.ts"

/** Knows how many timers are running. */
class CountingClock extends ManualClock {
  running = 0

  override after(ms: number, callback: () => void): () => void {
    let over = false
    const end = () => {
      if (!over) this.running--
      over = true
    }
    this.running++
    const cancel = super.after(ms, () => {
      end()
      callback()
    })
    return () => {
      end()
      cancel()
    }
  }
}

function createMessage(id: number, orderingKey: string): PublishedMessage {
  const data = Buffer.from("x")
  return { messageId: `${id}`, data, attributes: {}, orderingKey, publishedAt: 0, bytes: 1 }
}

/** Takes up to `limit` messages at a time, and remembers what it holds. */
function createStream(limit: number): Consumer & { held: Map<string, Delivery> } {
  const held = new Map<string, Delivery>()
  return {
    held,
    keepsKeys: true,
    room: () => ({ messages: limit - held.size, bytes: Number.POSITIVE_INFINITY }),
    deliver: (deliveries) => {
      for (const delivery of deliveries) held.set(delivery.ackId, delivery)
    },
    ended: ({ ackId }) => held.delete(ackId),
  }
}

const steps = oneof(
  record({ kind: constant("publish" as const), keys: array(constantFrom("", "a", "b", "c"), { maxLength: 5 }) }),
  record({ kind: constantFrom("ack" as const, "nack" as const), which: nat(20) }),
  record({ kind: constant("advance" as const), ms: nat(12_000) }),
  record({ kind: constant("reconnect" as const), which: nat(1) }),
)

it("whatever happens, each message is delivered until it is acknowledged, and each key in its order", async () => {
  await assert(
    asyncProperty(array(steps, { maxLength: 40 }), boolean(), async (history, backoff) => {
      const clock = new CountingClock()
      const retry = backoff ? { minimumMs: 1000, maximumMs: 4000 } : undefined
      const backlog = new Backlog({ clock, ordered: true, policy: { ackDeadlineMs: 10_000, retry } })
      const streams = [createStream(3), createStream(2)]
      for (const stream of streams) backlog.attach(stream)
      const published: PublishedMessage[] = []
      const acknowledged: PublishedMessage[] = []

      const held = () => streams.flatMap((stream) => [...stream.held.values()])
      const check = () => {
        const { undelivered, outstanding } = backlog.counts()
        expect(undelivered + outstanding).toBe(published.length - acknowledged.length)
        for (const key of ["a", "b", "c"]) {
          const ofKey = ({ orderingKey }: PublishedMessage) => orderingKey === key
          const holders = streams.filter((stream) => [...stream.held.values()].some(({ message }) => ofKey(message)))
          expect(holders.length).toBeLessThanOrEqual(1)
          // What is held of a key are its oldest, handed out in their order.
          const handed = [...(holders[0]?.held.values() ?? [])].map(({ message }) => message).filter(ofKey)
          const left = published.filter((message) => ofKey(message) && !acknowledged.includes(message))
          expect(handed).toEqual(left.slice(0, handed.length))
        }
      }
      const acknowledge = (delivery: Delivery) => {
        backlog.acknowledge([delivery.ackId])
        acknowledged.push(delivery.message)
      }

      for (const step of history) {
        if (step.kind === "publish") {
          const messages = step.keys.map((key, index) => createMessage(published.length + index, key))
          published.push(...messages)
          backlog.announce(messages)()
        } else if (step.kind === "advance") {
          clock.advance(step.ms)
        } else if (step.kind === "reconnect") {
          const old = streams[step.which]
          if (old) {
            backlog.detach(old)
            for (const delivery of old.held.values()) backlog.modifyDeadline([delivery.ackId], 0)
            const fresh = createStream(3)
            streams[step.which] = fresh
            backlog.attach(fresh)
          }
        } else {
          const delivery = held()[step.which]
          if (delivery && step.kind === "ack") acknowledge(delivery)
          else if (delivery) backlog.modifyDeadline([delivery.ackId], 0)
        }
        await turn()
        check()
      }

      for (let rounds = 0; acknowledged.length < published.length; rounds++) {
        expect(rounds).toBeLessThan(1000)
        for (const delivery of held()) acknowledge(delivery)
        clock.advance(4000)
        await turn()
        check()
      }
      expect(new Set(acknowledged).size).toBe(published.length)
      expect(backlog.counts()).toEqual({ undelivered: 0, outstanding: 0 })
      expect(clock.running).toBe(0)
      backlog.close()
    }),
    { numRuns: 150 },
  )
})

it("ten thousand messages of one key, each nacked once, stay in order and take no time", async () => {
  const clock = new CountingClock()
  const backlog = new Backlog({ clock, ordered: true, policy: { ackDeadlineMs: 10_000 } })
  const seen: string[] = []
  const nacked = new Set<string>()
  backlog.attach({
    room: () => ({ messages: 1, bytes: 1 }),
    deliver: ([delivery]) => {
      const id = delivery?.message.messageId ?? ""
      const ackIds = [delivery?.ackId ?? ""]
      if (nacked.has(id)) {
        seen.push(id)
        backlog.acknowledge(ackIds)
      } else {
        nacked.add(id)
        backlog.modifyDeadline(ackIds, 0)
      }
    },
  })
  const messages = Array.from({ length: 10_000 }, (_, id) => createMessage(id, "k"))
  backlog.announce(messages)()
  while (seen.length < messages.length) await turn()
  expect(seen).toEqual(messages.map(({ messageId }) => messageId))
  expect(clock.running).toBe(0)
})

it("what was kept for a stream that goes is given to another", async () => {
  const backlog = new Backlog({ clock: new ManualClock(), ordered: true, policy: { ackDeadlineMs: 10_000 } })
  const [first, second] = [createStream(1), createStream(1)]
  backlog.attach(first)
  backlog.announce([createMessage(1, "k"), createMessage(2, "k")])()
  await turn()
  backlog.acknowledge([...first.held.keys()])
  backlog.detach(first)
  backlog.attach(second)
  await turn()
  expect([...second.held.values()].map(({ message }) => message.messageId)).toEqual(["2"])
  backlog.close()
})

it("nothing is delivered, and nothing runs, once it is closed", async () => {
  const clock = new CountingClock()
  const backlog = new Backlog({ clock, ordered: false, policy: { ackDeadlineMs: 10_000 } })
  const stream = createStream(1)
  backlog.attach(stream)
  backlog.announce([createMessage(1, ""), createMessage(2, "")])()
  await turn()
  expect(stream.held.size).toBe(1)
  expect(clock.running).toBe(1)
  backlog.close()
  expect(clock.running).toBe(0)
  backlog.announce([createMessage(3, "")])()
  backlog.acknowledge([...stream.held.keys()])
  await turn()
  expect(stream.held.size).toBe(1)
})
