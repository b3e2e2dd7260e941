import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest"
import { findOrInstallMariaDb, type MariaDb, startMariaDb } from "../../../services/local/database/start-mariadb.ts"

/** Of this file alone: other tests start servers too. */
let temporary: string
let folder: string
let mariadb: MariaDb

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), "daybook-"))
  vi.stubEnv("TMPDIR", temporary)
  folder = await mkdtemp(join(tmpdir(), "daybook-mariadb-"))
  mariadb = await startMariaDb({ folder })
})

afterAll(async () => {
  await mariadb.stop()
  vi.unstubAllEnvs()
  await rm(temporary, { recursive: true })
})

test("it answers on its port, in strict mode, with utf8mb4, in UTC", async () => {
  const connection = await connect(mariadb)
  const [rows] = await connection.query<RowDataPacket[]>(
    "SELECT @@sql_mode AS mode, @@character_set_server AS charset, @@time_zone AS zone, @@max_connections AS connections",
  )
  expect(rows[0]).toMatchObject({ charset: "utf8mb4", zone: "+00:00", connections: 200 })
  expect(rows[0]?.mode).toContain("STRICT_TRANS_TABLES")
})

test("it has root without a password, no other user that can log in, and no test database", async () => {
  const connection = await connect(mariadb)
  const [users] = await connection.query<RowDataPacket[]>("SELECT DISTINCT User AS user FROM mysql.user ORDER BY 1")
  expect(users.map(({ user }) => user)).toEqual(["mariadb.sys", "root"])
  const [databases] = await connection.query<RowDataPacket[]>("SHOW DATABASES")
  expect(databases.map(({ Database }) => Database)).not.toContain("test")
})

test("what was committed is there after a SIGKILL and after a clean restart, on the same port", async () => {
  const before = await connect(mariadb)
  await before.query("CREATE DATABASE kept")
  await before.query("CREATE TABLE kept.rows (id INT PRIMARY KEY)")
  await before.query("INSERT INTO kept.rows VALUES (1)")
  const { pid } = mariadb
  before.on("error", () => {})
  await mariadb.kill()
  expect(isAlive(pid)).toBe(false)
  await mariadb.kill()

  for (const how of ["after the kill", "while it runs"]) {
    await mariadb.restart()
    expect(mariadb.pid).not.toBe(pid)
    const after = await connect(mariadb)
    const [rows] = await after.query<RowDataPacket[]>("SELECT COUNT(*) AS count FROM kept.rows")
    expect([how, rows[0]?.count]).toEqual([how, 1])
    await after.end()
  }
})

test("a taken port is told with the end of the log, and nothing is left running", async () => {
  const taken = createServer().listen(0, "127.0.0.1")
  await once(taken, "listening")
  onTestFinished(() => void taken.close())
  const { port } = taken.address() as { port: number }
  await mariadb.stop()
  const sockets = await socketFolders()
  await expect(startMariaDb({ folder, port })).rejects.toThrow(
    /did not start on port \d+.*\n[^]*Address already in use/,
  )
  expect(await socketFolders()).toEqual(sockets)
  await mariadb.restart()
})

test("an abort ends the server, and a start after it does not begin", async () => {
  const other = await mkdtemp(join(tmpdir(), "daybook-mariadb-"))
  onTestFinished(() => rm(other, { recursive: true }))
  const abort = new AbortController()
  await mariadb.stop()
  const started = await startMariaDb({ folder, signal: abort.signal })
  abort.abort()
  await expect.poll(() => isAlive(started.pid)).toBe(false)
  await started.stop()
  await expect(startMariaDb({ folder: other, signal: abort.signal })).rejects.toThrow("aborted")
  await mariadb.restart()
})

test.each(["is killed", "ends and forgets it"])("it dies with a process that %s, and leaves no socket", async (how) => {
  await mariadb.stop()
  const script = `
    import { startMariaDb } from ${JSON.stringify(new URL("../../../services/local/database/start-mariadb.ts", import.meta.url).href)}
    const { pid } = await startMariaDb({ folder: process.argv[1] })
    console.log(pid)
    ${how === "is killed" ? "setInterval(() => {}, 1000)" : ""}`
  const sockets = await socketFolders()
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const [line] = await once(parent.stdout, "data")
  const pid = Number(String(line))
  if (how === "is killed") {
    expect(isAlive(pid)).toBe(true)
    parent.kill("SIGKILL")
  }
  await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false)
  await expect.poll(socketFolders).toEqual(sockets)
  await mariadb.restart()
})

test("without a server to find or install, one sentence says what to do", async () => {
  const empty = await mkdtemp(join(tmpdir(), "daybook-path-"))
  onTestFinished(() => rm(empty, { recursive: true }))
  await expect(findOrInstallMariaDb({ searchPath: [empty] })).rejects.toThrow(
    /^No MariaDB or MySQL server found: install one .* or set DATABASE_URL/,
  )
})

test.skipIf(process.getuid?.() !== 0)(
  "as root it is installed with apt-get, whose output shows on failure only",
  async () => {
    const path = await mkdtemp(join(tmpdir(), "daybook-path-"))
    onTestFinished(() => rm(path, { recursive: true }))
    const real = await findOrInstallMariaDb()
    if (real.kind !== "mariadb") return
    // Stands in for the package manager: what it is told, and programs that are there once it has run.
    const writeAptGet = async (script: string) => {
      await writeFile(join(path, "apt-get"), `#!/bin/sh\n${script}\n`)
      await chmod(join(path, "apt-get"), 0o755)
    }
    const lines: string[] = []
    const options = { searchPath: [path], log: (line: string) => void lines.push(line) }
    await writeAptGet("echo no network; exit 100")
    await expect(findOrInstallMariaDb(options)).rejects.toThrow(/apt-get update failed:\nno network/)
    await symlink(real.server, join(path, "new"))
    await writeAptGet(
      `[ "$*" = update ] || { [ "$*" = "install -y --no-install-recommends mariadb-server-core" ] && /bin/mv ${path}/new ${path}/mariadbd; }`,
    )
    expect(await findOrInstallMariaDb(options)).toEqual({ ...real, server: join(path, "mariadbd") })
    expect(lines).toHaveLength(2)
  },
)

async function connect(server: MariaDb): Promise<Connection> {
  const connection = await createConnection(server.url)
  onTestFinished(() => connection.destroy())
  return connection
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function socketFolders(): Promise<string[]> {
  const names = await readdir(tmpdir())
  return names.filter((name) => /^daybook-[A-Za-z0-9]{6}$/.test(name)).toSorted()
}
