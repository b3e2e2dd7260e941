import { execFile } from "node:child_process"
import { accessSync, constants, readdirSync, realpathSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

// Servers are often outside of a user's PATH.
const SERVER_FOLDERS = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"]
const PACKAGE = "mariadb-server-core"
// `apt-get update` on a slow network, then 8 MB of packages.
const INSTALL_TIMEOUT_MS = 5 * 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

/** A database server's programs on this machine. */
export type DatabaseServer =
  /** `systemTables`: the SQL files that fill a data folder, in order. */
  | { kind: "mariadb"; server: string; systemTables: string[] }
  /** Oracle's, which fills its data folder itself. */
  | { kind: "mysql"; server: string }

export interface FindOptions {
  /** Folders to look in, first to last; by default PATH and where servers usually are. */
  searchPath?: string[]
  log?: ((line: string) => void) | undefined
  signal?: AbortSignal | undefined
}

/**
 * Finds MariaDB, or MySQL; else installs MariaDB where that is one command without a question: on Debian and Ubuntu as
 * root. Otherwise throws what the user can do about it.
 */
export async function findOrInstallMariaDb(options: FindOptions = {}): Promise<DatabaseServer> {
  const { searchPath = defaultSearchPath(), log = () => {}, signal } = options
  const found = await findServer(searchPath)
  if (found) return found
  const aptGet = process.getuid?.() === 0 ? findProgram(searchPath, "apt-get") : undefined
  if (aptGet) {
    log(`installing ${PACKAGE} (apt-get, no MariaDB or MySQL found)`)
    await runQuietly(aptGet, ["update"], signal)
    await runQuietly(aptGet, ["install", "-y", "--no-install-recommends", PACKAGE], signal)
    const installed = await findServer(searchPath)
    if (installed) return installed
  }
  throw new Error(
    "No MariaDB or MySQL server found: install one " +
      `(Debian and Ubuntu: apt-get install ${PACKAGE}, Fedora: dnf install mariadb-server, macOS: brew install mariadb), ` +
      "or set DATABASE_URL to a server that you have, such as mysql://root@127.0.0.1:3306/.",
  )
}

async function findServer(searchPath: string[]): Promise<DatabaseServer | undefined> {
  for (const name of ["mariadbd", "mysqld"]) {
    const server = findProgram(searchPath, name)
    if (!server) continue
    // `mysqld` is MariaDB's on many systems.
    const { stdout } = await run(server, ["--no-defaults", "--version"])
    if (!/mariadb/i.test(stdout)) return { kind: "mysql", server }
    const systemTables = findSystemTables(server)
    if (systemTables) return { kind: "mariadb", server, systemTables }
  }
  return undefined
}

// They are called `mysql_…` until MariaDB 10.11 and `mariadb_…` since.
const SYSTEM_TABLES = [/^(mysql|mariadb)_system_tables\.sql$/, /^(mysql|mariadb)_system_tables_data\.sql$/]

/** In the `share` folder beside the server's, as in the server's own search. */
function findSystemTables(server: string): string[] | undefined {
  const base = dirname(dirname(realpathSync(server)))
  for (const folder of ["share/mariadb", "share/mysql", "share"].map((share) => join(base, share))) {
    const names = listFolder(folder)
    const found = SYSTEM_TABLES.flatMap((pattern) => names.find((name) => pattern.test(name)) ?? [])
    if (found.length === SYSTEM_TABLES.length) return found.map((name) => join(folder, name))
  }
  return undefined
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function findProgram(searchPath: string[], name: string): string | undefined {
  return searchPath.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function defaultSearchPath(): string[] {
  const path = process.env.PATH?.split(delimiter).filter((folder) => folder !== "") ?? []
  return [...path, ...SERVER_FOLDERS]
}

/** Runs a program, with `input` to read, and shows what it says only if it fails. */
export async function runQuietly(
  program: string,
  args: string[],
  signal: AbortSignal | undefined,
  input = "",
): Promise<void> {
  const running = run(program, args, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    ...(signal && { signal }),
  })
  // A program that ends before it has read all says itself what was wrong.
  running.child.stdin?.on("error", () => {})
  running.child.stdin?.end(input)
  try {
    await running
  } catch (error) {
    signal?.throwIfAborted()
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}${stderr}`.trimEnd(), { cause: error })
  }
}
