import { mkdtemp, rm } from "node:fs/promises"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { startPubSub } from "../../../services/emulators/pubsub/server.ts"
import { startStorage } from "../../../services/emulators/storage/server.ts"
import { startPushServer } from "../../../shared/messages/push-server.ts"
import { createLog } from "../../../shared/telemetry/log.ts"

const CLIENTS = 300

/** Connections that have sent a beginning of a request, and say nothing more; those that are open. */
async function openSlowly(port: number, beginning: string): Promise<Set<Socket>> {
  const sockets = new Set<Socket>()
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const socket = connect(port, "127.0.0.1")
      sockets.add(socket)
      socket.on("error", () => undefined)
      socket.on("close", () => sockets.delete(socket))
      socket.resume()
      await new Promise((resolve) => socket.once("connect", resolve))
      if (beginning !== "") socket.write(beginning)
    }),
  )
  return sockets
}

test("hundreds of clients that begin a request and say no more are let go, and others are answered meanwhile", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daybook-slow-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [push, storage, pubsub] = await Promise.all([
    startPushServer({ port: 0, host: "127.0.0.1", log: await createLog("test", "silent"), messages: {} }),
    startStorage({ folder }),
    startPubSub(),
  ])
  const ports = [Number(new URL(push.url).port), storage.port, pubsub.port]
  const head = "POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le"
  const slow = await Promise.all([...ports.map((port) => openSlowly(port, head)), openSlowly(pubsub.port, "")])
  onTestFinished(async () => {
    for (const socket of slow.flatMap((sockets) => [...sockets])) socket.destroy()
    await Promise.all([push.close(), storage.stop(), pubsub.stop()])
  })
  const openOf = (): number[] => slow.map((sockets) => sockets.size)
  for (const port of ports) expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
  expect(openOf()).toEqual(slow.map(() => CLIENTS))
  await expect.poll(openOf, { timeout: 20_000, interval: 200 }).toEqual(slow.map(() => 0))
})
