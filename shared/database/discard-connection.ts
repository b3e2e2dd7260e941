import type { Duplex } from "node:stream"
import type { PoolConnection } from "mysql2"

/**
 * Takes a connection out of its pool and cuts it, whatever it is doing: the server rolls back what is open on it. Statements
 * that still wait on it fail with the cause. For every connection whose state nobody can be sure of: it must never serve
 * another caller.
 */
export function discardConnection(connection: PoolConnection, cause: Error = aborted()): void {
  // mysql2 reports the cause as an event, too, and an error event without a listener ends the process.
  connection.on("error", () => undefined)
  connection.destroy()
  // mysql2 only ends its own side, which a server in the middle of sending does not notice. And it forgets the statements
  // that wait, unless the stream fails.
  ;(connection as unknown as { stream: Duplex }).stream.destroy(cause)
}

const aborted = () => Object.assign(new Error("the connection was discarded"), { code: "ECONNABORTED" })
