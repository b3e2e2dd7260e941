import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest"
import {
  type DatabaseServer,
  findOrInstallServer,
  startDatabaseServer,
} from "../../../services/local/database/start-server.ts"

/** Of this file alone: other tests start servers too. */
let temporary: string
let folder: string
let server: DatabaseServer

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), "daybook-"))
  vi.stubEnv("TMPDIR", temporary)
  folder = await mkdtemp(join(tmpdir(), "daybook-server-"))
  server = await startDatabaseServer({ folder })
})

afterAll(async () => {
  await server.stop()
  vi.unstubAllEnvs()
  await rm(temporary, { recursive: true })
})

test("it answers on its port, in strict mode, with utf8mb4, in UTC", async () => {
  const connection = await connect(server)
  const [rows] = await connection.query<RowDataPacket[]>(
    "SELECT @@sql_mode AS mode, @@character_set_server AS charset, @@time_zone AS zone, @@max_connections AS connections",
  )
  expect(rows[0]).toMatchObject({ charset: "utf8mb4", zone: "+00:00", connections: 200 })
  expect(rows[0]?.mode).toContain("STRICT_TRANS_TABLES")
})

test("it lets root in with its password alone, and has no other user that can log in, and no test database", async () => {
  const knock = (password: string) => createConnection({ host: "127.0.0.1", port: server.port, user: "root", password })
  for (const password of ["", "root"]) await expect(knock(password)).rejects.toThrow("Access denied")
  const connection = await connect(server)
  const [users] = await connection.query<RowDataPacket[]>("SELECT DISTINCT User AS user FROM mysql.user ORDER BY 1")
  expect(users.map(({ user }) => user)).toEqual(
    server.kind === "mariadb" ? ["mariadb.sys", "root"] : ["mysql.infoschema", "mysql.session", "mysql.sys", "root"],
  )
  const [databases] = await connection.query<RowDataPacket[]>("SHOW DATABASES")
  expect(databases.map(({ Database }) => Database)).not.toContain("test")
})

test("SQL reads and writes no file of the machine, and nobody else reads the server's own", async () => {
  const connection = await connect(server)
  const file = join(temporary, "written")
  await expect(connection.query(`SELECT 1 INTO OUTFILE '${file}'`)).rejects.toThrow("--secure-file-priv")
  const [rows] = await connection.query<RowDataPacket[]>("SELECT LOAD_FILE('/etc/hostname') AS content")
  expect(rows[0]?.content).toBeNull()
  const kept = [join(folder, "database-password"), join(folder, server.kind, "data"), server.logFile]
  for (const path of kept) expect([path, ((await stat(path)).mode & 0o077).toString(8)]).toEqual([path, "0"])
})

test("what was committed is there after a SIGKILL and after a clean restart, on the same port", async () => {
  const before = await connect(server)
  await before.query("CREATE DATABASE kept")
  await before.query("CREATE TABLE kept.rows (id INT PRIMARY KEY)")
  await before.query("INSERT INTO kept.rows VALUES (1)")
  const { pid } = server
  before.on("error", () => {})
  await server.kill()
  expect(isAlive(pid)).toBe(false)
  await server.kill()

  for (const how of ["after the kill", "while it runs"]) {
    await server.restart()
    expect(server.pid).not.toBe(pid)
    const after = await connect(server)
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
  await server.stop()
  const sockets = await socketFolders()
  await expect(startDatabaseServer({ folder, port })).rejects.toThrow(
    /did not start on port \d+.*\n[^]*Address already in use/,
  )
  expect(await socketFolders()).toEqual(sockets)
  await server.restart()
})

test("an abort ends the server, and a start after it does not begin", async () => {
  const other = await mkdtemp(join(tmpdir(), "daybook-server-"))
  onTestFinished(() => rm(other, { recursive: true }))
  const abort = new AbortController()
  await server.stop()
  const started = await startDatabaseServer({ folder, signal: abort.signal })
  abort.abort()
  await expect.poll(() => isAlive(started.pid), { timeout: 20_000 }).toBe(false)
  await started.stop()
  await expect(startDatabaseServer({ folder: other, signal: abort.signal })).rejects.toThrow("aborted")
  await server.restart()
})

test.each(["is killed", "ends and forgets it"])("it dies with a process that %s, and leaves no socket", async (how) => {
  await server.stop()
  const script = `
    import { startDatabaseServer } from ${JSON.stringify(new URL("../../../services/local/database/start-server.ts", import.meta.url).href)}
    const { pid } = await startDatabaseServer({ folder: process.argv[1] })
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
  await server.restart()
})

test("without a server to find or install, one sentence says what to do", async () => {
  const empty = await mkdtemp(join(tmpdir(), "daybook-path-"))
  onTestFinished(() => rm(empty, { recursive: true }))
  await expect(findOrInstallServer({ searchPath: [empty], cacheFolder: empty, kind: "mariadb" })).rejects.toThrow(
    /^No MariaDB server found: install one .* or set DATABASE_URL/,
  )
})

test.skipIf(process.getuid?.() !== 0)(
  "as root it is installed with apt-get, whose output shows on failure only",
  async () => {
    const path = await mkdtemp(join(tmpdir(), "daybook-path-"))
    onTestFinished(() => rm(path, { recursive: true }))
    const bin = join(path, "bin")
    await mkdir(bin)
    // Stands in for the package manager: what it is told, and programs that are there once it has run.
    const writeAptGet = async (script: string) => {
      await writeFile(join(bin, "apt-get"), `#!/bin/sh\n${script}\n`)
      await chmod(join(bin, "apt-get"), 0o755)
    }
    const lines: string[] = []
    const options = {
      kind: "mariadb" as const,
      searchPath: [bin],
      cacheFolder: path,
      log: (line: string) => void lines.push(line),
    }
    await writeAptGet("echo no network; exit 100")
    await expect(findOrInstallServer(options)).rejects.toThrow(/apt-get update failed:\nno network/)
    const systemTables = ["mariadb_system_tables.sql", "mariadb_system_tables_data.sql"].map((name) =>
      join(path, "share/mariadb", name),
    )
    await mkdir(join(path, "share/mariadb"), { recursive: true })
    for (const file of systemTables) await writeFile(file, "")
    await writeFile(join(path, "new"), "#!/bin/sh\necho mariadbd  Ver 11.8.3-MariaDB for debian-linux-gnu\n")
    await chmod(join(path, "new"), 0o755)
    await writeAptGet(
      `[ "$*" = update ] || { [ "$*" = "install -y --no-install-recommends mariadb-server-core" ] && /bin/mv ${path}/new ${path}/bin/mariadbd; }`,
    )
    const server = join(path, "bin/mariadbd")
    expect(await findOrInstallServer(options)).toEqual({ kind: "mariadb", server, version: "11.8.3", systemTables })
    expect(lines).toHaveLength(2)
  },
)

test.skipIf(!existsSync("/usr/share/keyrings/debian-archive-keyring.gpg"))(
  "Oracle MySQL is asked for by name, told line by line while it is fetched, and what is wrong in one error",
  async () => {
    const path = await mkdtemp(join(tmpdir(), "daybook-path-"))
    onTestFinished(() => rm(path, { recursive: true }))
    await writeFile(join(path, "apt-get"), "#!/bin/sh\necho no network >&2; exit 100\n")
    await chmod(join(path, "apt-get"), 0o755)
    vi.stubEnv("PATH", `${path}:${process.env["PATH"]}`)
    onTestFinished(() => void vi.stubEnv("PATH", process.env["PATH"]?.slice(path.length + 1)))
    const lines: string[] = []
    const log = (line: string) => void lines.push(line)
    const found = findOrInstallServer({ kind: "mysql", searchPath: [path], cacheFolder: join(path, "cache"), log })
    await expect(found).rejects.toThrow(/fetch-mysql\.sh .* failed:[^]*no Debian mirror is configured/)
    expect(lines[0]).toContain("fetching Oracle MySQL into")
    expect(existsSync(join(path, "cache/mysql"))).toBe(false)
  },
)

test("which server is wanted may be said by the environment", async () => {
  vi.stubEnv("DATABASE_SERVER", "postgres")
  onTestFinished(() => void vi.stubEnv("DATABASE_SERVER", server.kind))
  await expect(findOrInstallServer()).rejects.toThrow('DATABASE_SERVER is "postgres": set it to mariadb or mysql')
})

async function connect(server: DatabaseServer): Promise<Connection> {
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
