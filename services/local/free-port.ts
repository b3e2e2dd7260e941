import { once } from "node:events"
import { createServer } from "node:net"
import { ConfigurationError } from "../../shared/errors.ts"

// Below the range from which the system takes ports for outgoing connections (32768 on Linux, 49152 elsewhere): a
// service that is restarted must find its port as free as it was.
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const ATTEMPTS_MAX = 50

/** A port of the loopback interface that nobody listens on now. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    if ((await tryPort(port)) === undefined) return port
  }
  throw new Error(`no free port found between ${PORT_MIN} and ${PORT_MAX}`)
}

/** Refuses a port that cannot be listened on, in a sentence that says for what it was wanted. */
export async function requireFreePort(port: number, what: string): Promise<void> {
  const error = await tryPort(port)
  if (!error) return
  const reason = error.code === "EADDRINUSE" ? "is in use by another program" : `cannot be used (${error.message})`
  throw new ConfigurationError(`Port ${port}, wanted for ${what}, ${reason}: stop that program or choose another port.`)
}

async function tryPort(port: number): Promise<NodeJS.ErrnoException | undefined> {
  const server = createServer()
  try {
    server.listen(port, "127.0.0.1")
    await once(server, "listening")
    server.close()
    await once(server, "close")
    return undefined
  } catch (error) {
    return error as NodeJS.ErrnoException
  }
}
