import { setTimeout as wait } from "node:timers/promises"
import { createConnection, type Pool, type PoolConnection, type PoolOptions, type RowDataPacket } from "mysql2"

/*
 * A connection can be gone without a word: a firewall has forgotten it, a failover has left it, a proxy in between is
 * frozen. A statement may also take an hour. What tells them apart is the server itself, asked over another connection
 * what it does for the first.
 */

export interface SilenceOptions {
  /** Milliseconds without a byte after which the server is asked. */
  silentMs?: number
  /** Milliseconds that it has for its answer. */
  answerMs?: number
}

const SILENT_MS = 20_000
const ANSWER_MS = 10_000

// Once the server may be between two statements, or have its answer under way.
const STRIKES = 2

interface Watched {
  connection: PoolConnection
  bytesRead: number
  /** When the last byte came, or the connection was last seen with nothing to wait for. */
  heardAt: number
  strikes: number
}

/** What mysql2's types do not tell. */
interface Internals {
  /** What it waits for an answer to. */
  _command?: unknown
  stream: { bytesRead: number; destroyed: boolean; destroy(error: Error): void }
}

const internalsOf = (connection: PoolConnection) => connection as unknown as Internals

/**
 * Ends connections of a pool that wait for an answer which the server does not work on: the statement fails with what is
 * tried again, over a fresh connection. `connect` says how the pool connects.
 */
export function watchSilence(pool: Pool, connect: PoolOptions, options: SilenceOptions = {}): { stop: () => void } {
  const { silentMs = SILENT_MS, answerMs = ANSWER_MS } = options
  const watched = new Map<PoolConnection, Watched>()
  pool.on("connection", (connection) => {
    const { bytesRead } = internalsOf(connection).stream
    watched.set(connection, { connection, bytesRead, heardAt: Date.now(), strikes: 0 })
  })
  let isLooking = false
  const look = async () => {
    if (isLooking) return
    isLooking = true
    try {
      const silent = [...watched.values()].filter((one) => isSilent(one, silentMs))
      if (silent.length > 0) await judge(silent, connect, answerMs)
    } finally {
      isLooking = false
    }
  }
  const timer = setInterval(() => {
    for (const connection of watched.keys()) if (internalsOf(connection).stream.destroyed) watched.delete(connection)
    void look()
  }, silentMs / 2)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

function isSilent(one: Watched, silentMs: number): boolean {
  const { _command: command, stream } = internalsOf(one.connection)
  if (!command || stream.bytesRead !== one.bytesRead) {
    one.bytesRead = stream.bytesRead
    one.heardAt = Date.now()
    one.strikes = 0
  }
  return Date.now() - one.heardAt >= silentMs
}

async function judge(silent: Watched[], connect: PoolOptions, answerMs: number): Promise<void> {
  const working = await Promise.race([askServer(connect, answerMs), wait(answerMs * 2, undefined, { ref: false })])
  for (const one of silent) {
    const { _command: command, stream } = internalsOf(one.connection)
    if (!command || stream.bytesRead !== one.bytesRead) continue
    one.strikes = working?.(one.connection.threadId) ? 0 : one.strikes + 1
    if (one.strikes < STRIKES) continue
    const seconds = Math.round((Date.now() - one.heardAt) / 1000)
    const why = working ? "the server does not work on it" : "the server does not answer"
    const error = new Error(`a statement was not answered for ${seconds} s, and ${why}: its connection is given up`)
    stream.destroy(Object.assign(error, { code: "ETIMEDOUT" }))
  }
}

/** Tells whether the server works for a connection; undefined if it does not answer. */
async function askServer(connect: PoolOptions, answerMs: number): Promise<((id: number) => boolean) | undefined> {
  const connection = createConnection({ ...connect, connectTimeout: answerMs })
  connection.on("error", () => undefined)
  try {
    const query = { sql: "SHOW PROCESSLIST", timeout: answerMs }
    const [rows] = await connection.promise().query<ProcessRow[]>(query)
    const working = new Map(rows.map(({ Id, Command }) => [Number(Id), Command !== "Sleep"]))
    // Behind a proxy with numbers of its own nothing is known of any: then all are believed to be worked for.
    return working.has(connection.threadId) ? (id) => working.get(id) ?? false : () => true
  } catch {
    return undefined
  } finally {
    connection.destroy()
  }
}

interface ProcessRow extends RowDataPacket {
  Id: number | string
  Command: string
}
