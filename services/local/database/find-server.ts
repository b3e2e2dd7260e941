import { execFile } from "node:child_process"
import { accessSync, constants, existsSync, readdirSync, realpathSync } from "node:fs"
import { rename, rm } from "node:fs/promises"
import { homedir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const run = promisify(execFile)

// Servers are often outside of a user's PATH.
const SERVER_FOLDERS = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"]
const PACKAGE = "mariadb-server-core"
const MYSQL_FOLDER = "mysql"
const DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
const FETCH_SCRIPT = fileURLToPath(new URL("fetch-mysql.sh", import.meta.url))
// `apt-get update` on a slow network, then 8 MB of packages.
const INSTALL_TIMEOUT_MS = 5 * 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export const serverKinds = ["mariadb", "mysql"] as const
export type ServerKind = (typeof serverKinds)[number]

/** What people call them. */
export const serverNames: Record<ServerKind, string> = { mariadb: "MariaDB", mysql: "Oracle MySQL" }

/** A database server's programs on this machine. */
export type ServerPrograms = { server: string; version: string } & (
  | { kind: "mariadb" /** The SQL files that fill a data folder, in order. */; systemTables: string[] }
  /** It fills its data folder itself. */
  | { kind: "mysql" }
)

export interface FindOptions {
  /** By default what DATABASE_SERVER says, else whichever is found. */
  kind?: ServerKind | undefined
  /** Folders to look in, first to last; by default PATH and where servers usually are. */
  searchPath?: string[]
  /** Where a fetched MySQL is kept; by default `daybook` in the user's cache folder. */
  cacheFolder?: string
  log?: ((line: string) => void) | undefined
  signal?: AbortSignal | undefined
}

/**
 * Finds MariaDB or Oracle MySQL. Where neither is there, MariaDB is installed on Debian and Ubuntu as root, where that is
 * one command without a question. MySQL, which Debian's releases do not have, is fetched where it is asked for: into a
 * folder, with nothing else touched. Otherwise throws what the user can do about it.
 */
export async function findOrInstallServer(options: FindOptions = {}): Promise<ServerPrograms> {
  const { searchPath = defaultSearchPath(), cacheFolder = defaultCacheFolder(), log = () => {}, signal } = options
  const kind = options.kind ?? kindOfEnvironment()
  // A fetched one counts least.
  const places = [...searchPath, join(cacheFolder, MYSQL_FOLDER, "bin")]
  const found = await findServer(places, kind)
  if (found) return found
  const aptGet = findProgram(searchPath, "apt-get")
  if (aptGet && kind === "mysql" && existsSync(DEBIAN_KEYS)) {
    await fetchMySql(join(cacheFolder, MYSQL_FOLDER), log, signal)
  } else if (aptGet && kind !== "mysql" && process.getuid?.() === 0) {
    log(`installing ${PACKAGE} (apt-get, no ${kind ? serverNames[kind] : "MariaDB or MySQL"} found)`)
    await runQuietly(aptGet, ["update"], signal)
    await runQuietly(aptGet, ["install", "-y", "--no-install-recommends", PACKAGE], signal)
  }
  const installed = await findServer(places, kind)
  if (installed) return installed
  throw new Error(
    `No ${kind ? serverNames[kind] : "MariaDB or MySQL"} server found: install one (${installAdvice[kind ?? "mariadb"]}), ` +
      "or set DATABASE_URL to a server that you have, such as mysql://root@127.0.0.1:3306/.",
  )
}

const installAdvice: Record<ServerKind, string> = {
  mariadb: `Debian and Ubuntu: apt-get install ${PACKAGE}, Fedora: dnf install mariadb-server, macOS: brew install mariadb`,
  mysql: "Ubuntu: apt-get install mysql-server-core, Fedora: dnf install mysql-server, macOS: brew install mysql",
}

/** Which server the environment wants. Throws for what is neither. */
function kindOfEnvironment(): ServerKind | undefined {
  const text = process.env.DATABASE_SERVER
  const kind = serverKinds.find((known) => known === text)
  if (text && !kind)
    throw new Error(`DATABASE_SERVER is ${JSON.stringify(text)}: set it to mariadb or mysql, or not at all.`)
  return kind
}

/** Debian's own package of its newest release, checked by the keys of this machine: see the script. */
async function fetchMySql(folder: string, log: (line: string) => void, signal: AbortSignal | undefined): Promise<void> {
  log(`fetching Oracle MySQL into ${folder} (one to two minutes, 60 MB; 270 MB on the disk)`)
  const unfinished = `${folder}.${process.pid}`
  try {
    await runQuietly("bash", [FETCH_SCRIPT, unfinished], signal, { onLine: log })
    // Whoever else has fetched it meanwhile has the same.
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!existsSync(join(folder, "bin/mysqld"))) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

function defaultCacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "daybook")
}

async function findServer(places: string[], kind: ServerKind | undefined): Promise<ServerPrograms | undefined> {
  for (const name of ["mariadbd", "mysqld"]) {
    for (const server of findPrograms(places, name)) {
      const programs = await identify(server)
      if (programs && (kind === undefined || programs.kind === kind)) return programs
    }
  }
  return undefined
}

async function identify(server: string): Promise<ServerPrograms | undefined> {
  const { stdout } = await run(server, ["--no-defaults", "--version"])
  const version = /Ver ([\d.]+)/.exec(stdout)?.[1] ?? "of an unknown version"
  // `mysqld` is MariaDB's on many systems.
  if (!/mariadb/i.test(stdout)) return { kind: "mysql", server, version }
  const systemTables = findSystemTables(server)
  return systemTables && { kind: "mariadb", server, version, systemTables }
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

function findPrograms(places: string[], name: string): string[] {
  return places.map((folder) => join(folder, name)).filter(isExecutable)
}

function findProgram(places: string[], name: string): string | undefined {
  return findPrograms(places, name)[0]
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

/** Runs a program, with `input` to read, and shows what it says only if it fails, or line by line to `onLine`. */
export async function runQuietly(
  program: string,
  args: string[],
  signal: AbortSignal | undefined,
  { input = "", onLine }: { input?: string; onLine?: (line: string) => void } = {},
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
  if (onLine && running.child.stdout) createInterface({ input: running.child.stdout }).on("line", onLine)
  try {
    await running
  } catch (error) {
    signal?.throwIfAborted()
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}${stderr}`.trimEnd(), { cause: error })
  }
}
