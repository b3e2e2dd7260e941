import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Servers, Tried } from "./client.ts"
import { gcloud } from "./gcloud.ts"
import { go } from "./go.ts"
import { node } from "./node.ts"
import { otherPackages } from "./other-packages.ts"
import { rclone } from "./rclone.ts"
import { restic } from "./restic.ts"
import { startServers } from "./start-servers.ts"

let servers: Servers & { stop(): Promise<void> }
beforeAll(async () => {
  servers = await startServers()
})
afterAll(() => servers?.stop())

const clients = await Promise.all(
  [node, otherPackages, gcloud, go, rclone, restic].map(async (client) => ({
    client,
    missing: await client.missing(),
  })),
)

describe("the servers of the local cloud are taken for Google's by", () => {
  test.each(clients.map(({ client, missing }) => [client.name, client, missing] as const))(
    "%s",
    { timeout: 480_000 },
    async (name, client, missing) => {
      if (missing !== undefined) return console.log(`${name} is not tried: ${missing}.`)
      const failed: Tried[] = []
      for await (const tried of client.try(servers)) if (tried.result !== "ok") failed.push(tried)
      expect(failed).toEqual([])
    },
  )
})
