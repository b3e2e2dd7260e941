import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as wait } from "node:timers/promises"
import { createConnection } from "mysql2/promise"
import { endProcess } from "../end-process.ts"
import { findFreePort } from "../free-port.ts"
import { createDataFolder, kindOptions, userOption } from "./create-data-folder.ts"
import { findOrInstallServer, type ServerKind, type ServerPrograms, serverNames } from "./find-server.ts"
import { rootPassword, setRootPassword } from "./root-password.ts"

export { findOrInstallServer } from "./find-server.ts"

// It answers 0.15 s after its start; after a SIGKILL it has a log to apply first, and the machine may be busy.
const READY_TIMEOUT_MS = 60_000
const READY_POLL_MS = 20
// A clean shutdown writes back what is dirty in the buffer pool.
const STOP_TIMEOUT_MS = 20_000
// Between finding a free port and listening on it, another process may take it.
const PORT_ATTEMPTS_MAX = 3
// Of a unix socket: 108 bytes with the final zero on Linux, 104 on macOS.
const SOCKET_PATH_BYTES_MAX = 103
const LOG_TAIL_LINES = 20

export interface DatabaseServer {
  kind: ServerKind
  /** `MariaDB 10.11.14`. */
  name: string
  /** `mysql://root:PASSWORD@127.0.0.1:PORT/`, without a database. */
  url: string
  port: number
  /** Of the server process; another one after a restart. */
  readonly pid: number
  logFile: string
  stop(): Promise<void>
  /** SIGKILL: committed transactions survive, the next start recovers them. */
  kill(): Promise<void>
  /** Stops the server if it runs, and starts it on the same port and folder. */
  restart(): Promise<void>
}

export interface DatabaseServerOptions {
  /**
   * Gets the password and a folder of the kind of server, with `data`, `server.log` and `server.pid`; made if it does not
   * exist.
   */
  folder: string
  /** By default what DATABASE_SERVER says, else whichever is found. */
  kind?: ServerKind | undefined
  /** By default a free one. */
  port?: number
  /** Further options of the server, such as `--log-bin`; they count more than its own. */
  serverOptions?: string[] | ((kind: ServerKind) => string[])
  log?: (line: string) => void
  /** Stops the server, or gives up starting it. */
  signal?: AbortSignal
}

/** Starts a private MariaDB or Oracle MySQL that nobody else can reach and that cannot outlive this process. */
export async function startDatabaseServer(options: DatabaseServerOptions): Promise<DatabaseServer> {
  const { log = () => {}, signal, serverOptions = [] } = options
  const programs = await findOrInstallServer({ kind: options.kind, log, signal })
  // Either finds its own data again, whichever was here last.
  const folder = join(resolve(options.folder), programs.kind)
  const further = typeof serverOptions === "function" ? serverOptions(programs.kind) : serverOptions
  const forGood = further.filter((option) => option.startsWith("--lower-case-table-names"))
  const password = await rootPassword(resolve(options.folder))
  await createDataFolder(programs, join(folder, "data"), log, signal, forGood)
  const start = (port: number) => launch({ programs, folder, port, password, further, signal })

  let port = options.port ?? (await findFreePort())
  let running: ServerProcess | undefined
  for (let attempt = 1; !running; attempt++) {
    try {
      running = await start(port)
    } catch (error) {
      if (options.port !== undefined || attempt === PORT_ATTEMPTS_MAX || !isPortTaken(error)) throw error
      port = await findFreePort()
    }
  }
  let current = running

  const stop = () => endServer(current)
  signal?.addEventListener("abort", () => void stop(), { once: true })
  return {
    kind: programs.kind,
    name: `${serverNames[programs.kind]} ${programs.version}`,
    url: `mysql://root:${password}@127.0.0.1:${port}/`,
    port,
    get pid() {
      return current.pid
    },
    logFile: logFileIn(folder),
    stop,
    kill: () => killServer(current),
    restart: async () => {
      await stop()
      current = await start(port)
    },
  }
}

interface ServerProcess {
  /** Of the server; the shell around it ends right after it. */
  pid: number
  shell: ChildProcess
  exited: Promise<unknown>
  hasExited(): boolean
}

interface Launch {
  programs: ServerPrograms
  folder: string
  port: number
  password: string
  /** Options of the server. */
  further: string[]
  signal: AbortSignal | undefined
}

async function launch({ programs, folder, port, password, further, signal }: Launch): Promise<ServerProcess> {
  signal?.throwIfAborted()
  const socketFolder = await makeSocketFolder()
  const socketPath = join(socketFolder, "socket")
  await writeFile(initFileIn(socketFolder), setRootPassword(programs.kind, password), { mode: 0o600 })
  const args = ["-c", WATCHED_SERVER, "sh", socketFolder, logFileIn(folder), programs.server]
  const child = spawn("/bin/sh", [...args, ...ownOptions(programs, folder, port, socketPath), ...further], {
    cwd: folder,
    // Its own process group: Ctrl-C reaches this process alone, which then ends the server when nobody needs it.
    detached: true,
    stdio: ["ignore", "pipe", "ignore", "pipe"],
  })
  let hasExited = false
  const exited = once(child, "exit")
    .catch(() => {})
    .finally(() => {
      hasExited = true
    })
  const { value: pid } = await createInterface({ input: child.stdout! })[Symbol.asyncIterator]().next()
  // A forgotten server does not keep this process from ending, which ends the server.
  child.unref()
  for (const stream of [child.stdout, child.stdio[3]]) (stream as { unref?(): void }).unref?.()
  const server: ServerProcess = { pid: Number(pid), shell: child, exited, hasExited: () => hasExited }
  try {
    await waitUntilReady(server, { socketPath, user: "root", password }, signal)
  } catch (error) {
    await killServer(server)
    signal?.throwIfAborted()
    const tail = (await readFile(logFileIn(folder), "utf8")).trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n")
    throw new Error(`${serverNames[programs.kind]} did not start on port ${port}: the end of its log is\n${tail}`, {
      cause: error,
    })
  }
  return server
}

/**
 * A shell between this process and the server. Its third descriptor is a pipe that this process holds open: when that
 * closes, also because this process was killed, the server is killed too. There is nobody left to wait for a clean
 * shutdown, and the next start recovers.
 */
const WATCHED_SERVER = `
umask 077
socket_folder=$1; log=$2; shift 2
"$@" >>"$log" 2>&1 3<&- &
server=$!
echo $server
{ read -r _ <&3; kill -KILL $server; } >/dev/null 2>&1 &
watch=$!
wait $server
kill $watch
rm -rf "$socket_folder"
`

function ownOptions(programs: ServerPrograms, folder: string, port: number, socketPath: string): string[] {
  return [
    "--no-defaults",
    ...userOption(),
    `--datadir=${join(folder, "data")}`,
    `--log-error=${logFileIn(folder)}`,
    `--pid-file=${join(folder, "server.pid")}`,
    `--socket=${socketPath}`,
    // Ours alone: a server that starts clears this folder, and in /tmp other servers have their temporary tables.
    `--tmpdir=${dirname(socketPath)}`,
    `--init-file=${initFileIn(dirname(socketPath))}`,
    // No file of the machine is read or written by SQL. MariaDB has no word for it, as MySQL has in its own options below.
    `--secure-file-priv=${dirname(socketPath)}`,
    "--bind-address=127.0.0.1",
    `--port=${port}`,
    // Tasks, planner, finalizer and tests together; each has a pool of a few.
    "--max-connections=200",
    // Plenty for a shop of millions of purchases, and bounded on a laptop.
    "--innodb-buffer-pool-size=512M",
    // A commit is in the operating system's hands at once and on the disk within a second: it survives that the server
    // is killed, which is what tests do, and costs no fsync. Only a power cut could take it.
    "--innodb-flush-log-at-trx-commit=2",
    "--skip-log-bin",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    // As on Cloud SQL. The data's times are UTC too.
    "--default-time-zone=+00:00",
    ...kindOptions[programs.kind],
  ]
}

/** By the socket, which is ours alone: on the port, another server might answer. It is opened after the port. */
async function waitUntilReady(
  server: ServerProcess,
  root: { socketPath: string; user: string; password: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const deadline = Date.now() + READY_TIMEOUT_MS; ; ) {
    signal?.throwIfAborted()
    if (server.hasExited()) throw new Error("The server has exited.")
    try {
      const connection = await createConnection(root)
      await connection.query("SELECT 1")
      await connection.end()
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await Promise.race([wait(READY_POLL_MS), server.exited])
  }
}

async function endServer(server: ServerProcess): Promise<void> {
  if (server.hasExited()) return
  server.shell.ref()
  await endProcess((signal) => sendSignal(server, signal), server.exited, STOP_TIMEOUT_MS)
}

async function killServer(server: ServerProcess): Promise<void> {
  if (server.hasExited()) return
  server.shell.ref()
  sendSignal(server, "SIGKILL")
  await server.exited
}

function sendSignal({ pid }: ServerProcess, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It has ended by itself, and its shell is about to.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
  }
}

async function makeSocketFolder(): Promise<string> {
  const isShort = Buffer.byteLength(join(tmpdir(), "daybook-XXXXXX", "socket")) <= SOCKET_PATH_BYTES_MAX
  return mkdtemp(join(isShort ? tmpdir() : "/tmp", "daybook-"))
}

const initFileIn = (socketFolder: string) => join(socketFolder, "init.sql")

const logFileIn = (folder: string) => join(folder, "server.log")

const isPortTaken = (error: unknown) =>
  error instanceof Error && /Bind on TCP\/IP port|already in use/.test(error.message)
