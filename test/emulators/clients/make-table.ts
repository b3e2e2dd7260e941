import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import type { Client, Tried } from "./client.ts"
import { gcloud, openGcloud, pubsubSteps } from "./gcloud.ts"
import { go } from "./go.ts"
import { node } from "./node.ts"
import { otherPackages } from "./other-packages.ts"
import { rclone } from "./rclone.ts"
import { restic } from "./restic.ts"
import { startServers } from "./start-servers.ts"

/*
 * Tries each client on each operation and prints the table of the emulators' README: `npm run clients`. Beside it Google's
 * own Pub/Sub emulator, where gcloud's installation has it, tried by the same gcloud. With names of clients, those alone.
 */

const EMULATOR = "/usr/lib/google-cloud-sdk/platform/pubsub-emulator/bin/cloud-pubsub-emulator"

const googles: Client = {
  name: "gcloud on Google's emulator",
  missing: async () => (existsSync(EMULATOR) ? undefined : "Google's Pub/Sub emulator is not on this machine"),
  async *try(servers) {
    const port = await findPort()
    const emulator = spawn(EMULATOR, ["--host=127.0.0.1", `--port=${port}`], { stdio: "ignore", detached: true })
    try {
      for (let tries = 0; tries < 100; tries++) {
        if (
          await fetch(`http://127.0.0.1:${port}/`).then(
            () => true,
            () => false,
          )
        )
          break
        await wait(200)
      }
      yield* pubsubSteps(await openGcloud({ ...servers, pubsub: `127.0.0.1:${port}` }))
    } finally {
      if (emulator.pid !== undefined) process.kill(-emulator.pid)
    }
  },
}

function findPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

const results = new Map<string, Map<string, string>>()
const names: string[] = []
const failures: string[] = []
const wanted = process.argv.slice(2)
for (const client of [node, otherPackages, gcloud, go, rclone, restic, googles]) {
  if (wanted.length > 0 && !wanted.includes(client.name)) continue
  const missing = await client.missing()
  if (missing !== undefined) {
    console.error(`${client.name}: ${missing}`)
    continue
  }
  names.push(client.name)
  const servers = await startServers()
  for await (const tried of client.try(servers)) note(client.name, tried)
  await servers.stop()
}

function note(client: string, { service, operation, result }: Tried): void {
  const row = `${service}: ${operation}`
  const known = results.get(row) ?? new Map<string, string>()
  results.set(row, known.set(client, result === "ok" ? "ok" : "no"))
  if (result !== "ok") failures.push(`${client}, ${row}: ${result}`)
}

console.log(`| operation | ${names.join(" | ")} |`)
console.log(`|---|${names.map(() => "---|").join("")}`)
for (const [row, ofClients] of [...results].toSorted(([a], [b]) =>
  (a.split(":")[0] ?? "").localeCompare(b.split(":")[0] ?? ""),
)) {
  console.log(`| ${row} | ${names.map((name) => ofClients.get(name) ?? "").join(" | ")} |`)
}
for (const failure of failures) console.error(failure)
