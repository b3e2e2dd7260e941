import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { openBucket } from "../../shared/google/open-bucket.ts"

const waiting = { timeout: 40_000, interval: 20 }
const freePorts = ["pubsub", "storage", "run", "database"].flatMap((server) => [`--port-${server}`, "0"])

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-local-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test("some servers alone: the lines that it prints make clients find them, and Ctrl-C ends it with 0", async () => {
  const local = startLocal("--only", "pubsub,storage", ...freePorts)
  await vi.waitFor(() => expect(local.stderr()).toContain("is up"), waiting)
  const env = await readExports(local.stdout())
  expect(Object.keys(env).toSorted()).toEqual([
    "BUCKET",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
    "CLOUDSDK_AUTH_DISABLE_CREDENTIALS",
    "CLOUDSDK_CORE_PROJECT",
    "GOOGLE_CLOUD_PROJECT",
    "METADATA_SERVER_DETECTION",
    "PUBSUB_EMULATOR_HOST",
    "PUSH_CERTS_URL",
    "STORAGE_EMULATOR_HOST",
  ])
  const [exists] = await openBucket({ BUCKET: "daybook", STORAGE_EMULATOR_HOST: env["STORAGE_EMULATOR_HOST"] }).exists()
  expect(exists).toBe(true)
  local.process.kill("SIGINT")
  expect(await local.exitCode).toBe(0)
})

test("killed without a chance to clean up, it leaves no process behind", async () => {
  const local = startLocal("--no-shop", ...freePorts)
  await vi.waitFor(() => expect(local.stderr()).toContain("is up"), waiting)
  expect((await listOutputs()).map((file) => file.slice(folder.length)).toSorted()).toEqual(
    expect.arrayContaining([
      "/logs/finalizer.log",
      "/logs/planner.log",
      expect.stringMatching(/^\/(mariadb|mysql)\/server.log$/),
    ]),
  )
  local.process.kill("SIGKILL")
  await vi.waitFor(async () => expect(await listOutputs()).toEqual([]), waiting)
})

test("what cannot be understood exits with 2, and what cannot be started with 1 and one sentence", async () => {
  const [unknown, wrong, help] = [startLocal("--only", "mysql"), startLocal("--port-run", "x"), startLocal("--help")]
  expect(await unknown.exitCode).toBe(2)
  expect(await wrong.exitCode).toBe(2)
  expect(await help.exitCode).toBe(0)
  expect(help.stdout()).toContain("--port-pubsub")
  const taken = createServer().listen(0, "127.0.0.1")
  await once(taken, "listening")
  const { port } = taken.address() as { port: number }
  const failed = startLocal("--only", "pubsub", "--port-pubsub", String(port))
  expect(await failed.exitCode).toBe(1)
  expect(failed.stderr()).toMatch(new RegExp(`^Port ${port}, wanted for Pub/Sub, is in use .*\n$`))
  taken.close()
})

interface Local {
  process: ChildProcess
  stdout(): string
  stderr(): string
  exitCode: Promise<number | null>
}

function startLocal(...args: string[]): Local {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, ["services/local/main.ts", "--data", folder, ...args], { env: { PATH, HOME } })
  let [stdout, stderr] = ["", ""]
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()))
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()))
  const exitCode = once(child, "close").then(([code]) => code as number | null)
  return { process: child, stdout: () => stdout, stderr: () => stderr, exitCode }
}

/** What a shell makes of the lines. */
async function readExports(lines: string): Promise<Record<string, string>> {
  const shell = spawn("/bin/sh", ["-c", `${lines}\nenv`], { env: {} })
  let printed = ""
  shell.stdout.on("data", (data: Buffer) => (printed += data.toString()))
  await once(shell, "close")
  const entries = printed.split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2))
  return Object.fromEntries(entries.filter(([name]) => lines.includes(`export ${name}=`)))
}

/** Files in the folder to which some process writes its output. */
async function listOutputs(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name))
  const outputs = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/fd/1`).catch(() => "")))
  return outputs.filter((file) => file.startsWith(folder))
}
