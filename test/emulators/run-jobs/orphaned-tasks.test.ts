import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { expect, test } from "vitest"
import { isAlive } from "./is-alive.ts"

test("tasks do not survive a server that is killed", async ({ onTestFinished }) => {
  const folder = mkdtempSync(join(tmpdir(), "daybook-doomed-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const server = spawn(process.execPath, [new URL("doomed-server.ts", import.meta.url).pathname], {
    env: { ...process.env, TMPDIR: folder }, // its logs go where this test removes them
    stdio: ["ignore", "pipe", "inherit"],
  })
  onTestFinished(() => void server.kill("SIGKILL"))
  const [line] = await once(createInterface(server.stdout), "line")
  const pid = Number(line)
  onTestFinished(() => void (isAlive(pid) && process.kill(-pid, "SIGKILL")))
  expect(isAlive(pid)).toBe(true)
  server.kill("SIGKILL")
  await once(server, "exit")
  await expect.poll(() => isAlive(pid)).toBe(false)
})
