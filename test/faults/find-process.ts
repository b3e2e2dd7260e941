import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** A process and its end of a connection. */
interface Owner {
  pid: number
  link: string
  socket: string
}

/** One of this machine. The client's port alone is not one: another process may have it towards another server. */
interface Connection {
  clientPort: number
  serverPort: number
}

/**
 * Finds the process that holds the client's end of a connection, among a few candidates. Linux only: it looks in
 * /proc, as `ss -p` does. Connections live long, so what was found is kept for as long as it is still true.
 */
export function createProcessFinder(): (connection: Connection, candidates: Iterable<number>) => number | undefined {
  const known = new Map<string, Owner>()
  return (connection, candidates) => {
    const key = `${connection.clientPort} ${connection.serverPort}`
    const owner = known.get(key)
    if (owner && readLink(owner.link) === owner.socket) return owner.pid
    const socket = findSocket(connection)
    if (socket === undefined) return undefined
    for (const pid of candidates) {
      const link = linksOf(pid).find((path) => readLink(path) === socket)
      if (link === undefined) continue
      known.set(key, { pid, link, socket })
      return pid
    }
    return undefined
  }
}

/** The inode of the client's socket of a connection on the loopback interface, as links to it are written. */
function findSocket({ clientPort, serverPort }: Connection): string | undefined {
  const [local, remote] = [clientPort, serverPort].map(
    (port) => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`,
  )
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n")) {
    const fields = line.trim().split(/\s+/)
    // Without an inode it is a connection that nobody holds any more.
    if (fields[1] === local && fields[2] === remote && fields[9] !== "0") return `socket:[${fields[9]}]`
  }
  return undefined
}

function linksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`)
  } catch {
    return []
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The environment that a process was started with; undefined if there is no such process. */
export function readEnvironment(pid: number): Record<string, string> | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean)
    return Object.fromEntries(entries.map((entry) => [entry.split("=", 1)[0], entry.slice(entry.indexOf("=") + 1)]))
  } catch {
    return undefined
  }
}

/** Processes, other than this one, whose environment holds a text. */
export function findProcessesWith(text: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(text)
    } catch {
      return false
    }
  })
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
