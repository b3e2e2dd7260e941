import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createConnection, type RowDataPacket } from "mysql2/promise"
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest"
import { startDatabaseServer } from "../../services/local/database/start-server.ts"
import { WAIT } from "../fixtures/start-cli.ts"

/** The temporary folder of the demo, in which it must leave nothing. */
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-demo-test-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const small = ["--users", "2000", "--purchases", "24000", "--shard-purchases", "2000", "--days", "1", "--tasks", "2"]

interface Demo {
  process: ChildProcess
  seen(): string
  ended: Promise<{ code: number | null; printed: string }>
}

function startDemo(args: string[], env: Record<string, string> = {}): Demo {
  const { PATH = "", HOME = "" } = process.env
  const demo = spawn(process.execPath, ["services/demo/main.ts", ...args], {
    env: { PATH, HOME, TMPDIR: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let printed = ""
  for (const stream of [demo.stdout, demo.stderr]) stream.on("data", (data: Buffer) => (printed += data.toString()))
  const ended = once(demo, "close").then(([code]) => ({ code: code as number | null, printed }))
  return { process: demo, seen: () => printed, ended }
}

/** Processes that have to do with the demo's temporary folder. */
async function listProcesses(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")))
  return commands.filter((command) => command.includes(folder))
}

async function expectNothingLeft(): Promise<void> {
  await vi.waitFor(async () => expect(await listProcesses()).toEqual([]), WAIT)
  expect(await readdir(folder)).toEqual([])
}

async function listDatabases(server: string): Promise<string[]> {
  const connection = await createConnection({ uri: server })
  const [rows] = await connection.query<RowDataPacket[]>("SHOW DATABASES")
  await connection.end()
  return rows.map((row) => String(Object.values(row)[0]))
}

test("from nothing to a complete verdict, though tasks are killed while they work, and nothing is left", async () => {
  const { code, printed } = await startDemo([...small, "--date", "2026-11-22", "--kill", "3"]).ended
  expect(printed).toMatch(/complete: 2026-11-22 version 1, \d+ shards/)
  expect(printed).toContain("killed 3 of 3 tasks while they worked")
  expect(printed).toMatch(/shop, guests +\d+ /)
  expect(printed).toContain("slowest shards")
  expect(printed.match(/the same$/gm)?.length).toBeGreaterThan(3)
  expect(printed).not.toContain("DIFFERENT")
  expect(code).toBe(0)
  await expectNothingLeft()
})

test("--keep-running shows the day on a page until Ctrl-C, which is no failure, and leaves nothing", async () => {
  const demo = startDemo([...small, "--date", "2026-11-22", "--keep-running"])
  await vi.waitFor(() => expect(demo.seen()).toContain("Everything runs until Ctrl-C"), {
    timeout: 50_000,
    interval: 50,
  })
  const [, url = ""] = /The days are at (http:\S+)\. /.exec(demo.seen()) ?? []
  expect(await (await fetch(`${url}/?day=2026-11-22`)).text()).toContain("The proof: complete")
  expect(demo.seen()).toMatch(/^export DATABASE_URL='mysql:/m)
  demo.process.kill("SIGINT")
  expect((await demo.ended).code).toBe(0)
  await expectNothingLeft()
})

test("--keep leaves plan, manifests and verdict as files; a given server is left as it was", async () => {
  // The server of the other tests has their databases too, which come and go.
  const serverFolder = await mkdtemp(join(tmpdir(), "daybook-given-server-"))
  const server = await startDatabaseServer({ folder: join(serverFolder, "mariadb") })
  onTestFinished(async () => {
    await server.stop()
    await rm(serverFolder, { recursive: true })
  })
  const before = await listDatabases(server.url)
  const env = { DATABASE_URL: new URL("mysql", server.url).href }
  const { code, printed } = await startDemo([...small, "--date", "2026-11-22", "--keep"], env).ended
  expect(printed).toContain("complete: 2026-11-22")
  expect(code).toBe(0)
  const verdict = /verdict +(\S+verdict\.json)/.exec(printed)?.[1] ?? ""
  expect(JSON.parse(await readFile(verdict, "utf8"))).toMatchObject({ verdict: "complete", date: "2026-11-22" })
  const shards = await readdir(/manifests +(\S+)/.exec(printed)?.[1] ?? "")
  expect(shards).toContain("0.json")
  expect(await listDatabases(server.url)).toEqual(before)
  expect(await readdir(folder)).toHaveLength(1)
  await vi.waitFor(async () => expect(await listProcesses()).toEqual([]), WAIT)
})

describe("Ctrl-C, and again, cleans up and exits 130", () => {
  test.for(["database …", "planner, finalizer) …", "Published"])("at %j", async (line) => {
    const demo = startDemo([...small, "--purchases", "30000"])
    await vi.waitFor(() => expect(demo.seen()).toContain(line), WAIT)
    demo.process.kill("SIGINT")
    await vi.waitFor(() => expect(demo.seen()).toContain("SIGINT: stopping"), WAIT)
    demo.process.kill("SIGINT")
    const { code, printed } = await demo.ended
    expect(printed).not.toContain("failed")
    expect(code).toBe(130)
    await expectNothingLeft()
  })
})

test.for([
  [["--tasks", "2", "--kill", "26"], /--kill 26 cannot work: 2 tasks bear 16 kills/],
  [["--purchases", "1000", "--kill", "2"], /a day of about 1 shard bears 1 kill,/],
  [["--purchases", "0"], /not a whole number from 1/],
  [["--date", "yesterday"], /not of the form YYYY-MM-DD/],
  [["now"], /too many arguments/],
] as const)("a command line that cannot work is refused with exit code 2: demo %j", async ([args, sentence]) => {
  const { code, printed } = await startDemo([...args]).ended
  expect(printed).toMatch(sentence)
  expect(code).toBe(2)
})

test("a database that is down is one sentence", async () => {
  const { code, printed } = await startDemo(small, { DATABASE_URL: "mysql://root@127.0.0.1:9/shop" }).ended
  expect(printed).toMatch(/127\.0\.0\.1:9/)
  expect(printed).not.toMatch(/^ +at /m)
  expect(code).toBe(1)
  await expectNothingLeft()
})
