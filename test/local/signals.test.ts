import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { expect, onTestFinished, test, vi } from "vitest"
import { buildServices } from "../../services/build/build-services.ts"
import { findProcessesWith } from "../faults/find-process.ts"

/* Whatever ends what a person has started ends all of it, at any moment, and the next start on the folder works. */

const GONE_MS_MAX = 15_000
const MOMENT_MS_MAX = 4_000
const ROUNDS = 5

const endings = ["SIGTERM", "SIGKILL", "SIGHUP"] as const

const ports = ["pubsub", "storage", "run", "database", "page"].flatMap((server) => [`--port-${server}`, "0"])
const pick = <T>(choices: readonly T[]) => choices[Math.floor(Math.random() * choices.length)] as T

test("npm, its group or the process itself, ended by any signal at any moment, leaves no process behind", async () => {
  // A first start builds, and a build under way is waited for: seconds, or many on a busy machine.
  await buildServices()
  const folder = await mkdtemp(join(tmpdir(), "daybook-signals-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const start = () => {
    const args = ["run", "local", "--", "--no-shop", "--data", folder, ...ports]
    const child = spawn("npm", args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, MARK: folder },
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()))
    return { pid: child.pid ?? 0, output: () => output }
  }
  const isNode = async (pid: number) =>
    /services\/local\/main\.ts/.test(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""))
  const allGone = () =>
    vi.waitFor(() => expect(findProcessesWith(folder)).toEqual([]), { timeout: GONE_MS_MAX, interval: 50 })
  onTestFinished(() => {
    for (const pid of findProcessesWith(folder)) process.kill(pid, "SIGKILL")
  })

  for (let round = 0; round < ROUNDS; round++) {
    const local = start()
    const moment = Math.random() * MOMENT_MS_MAX
    await wait(moment)
    const target = pick(["npm", "group", "process"] as const)
    // A terminal sends SIGINT to the whole group; alone npm passes over it, and goes on.
    const signal = pick(target === "npm" ? endings : ([...endings, "SIGINT"] as const))
    let pid = target === "group" ? -local.pid : local.pid
    // Not there yet in the first moments.
    for (const found of target === "process" ? findProcessesWith(folder) : []) if (await isNode(found)) pid = found
    process.kill(pid, signal)
    await allGone().catch((error: unknown) => {
      throw new Error(
        `${signal} to ${target} after ${Math.round(moment)} ms left ${findProcessesWith(folder).length} processes: ${local.output()}`,
        { cause: error },
      )
    })
  }

  const killed = start()
  await vi.waitFor(() => expect(killed.output()).toContain("is up"), { timeout: 40_000 })
  process.kill(-killed.pid, "SIGKILL")
  await allGone()
  const next = start()
  await vi.waitFor(() => expect(next.output()).toContain("is up"), { timeout: 40_000 })
  expect(next.output()).toContain(`${folder} was left by a local cloud that was killed`)
  process.kill(next.pid, "SIGTERM")
  await allGone()
}, 180_000)
