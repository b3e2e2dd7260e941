import { once } from "node:events"
import { createServer, connect as openSocket, type Server, type Socket } from "node:net"
import { Faults } from "../../services/emulators/faults.ts"

/*
 * Stands between the programs under test and the database, and understands just enough of the protocol to see each command
 * of each connection: https://mariadb.com/kb/en/0-packet/. Faults look at a command before it is passed on, and after
 * the server has answered and before its answer is passed back. A fault that throws a SqlError is answered as the
 * server would; any other error cuts the connection. Without TLS, compression and statements of 16 MB or more.
 */

/** What a fault throws to be answered with an error of the server's own. */
export class SqlError extends Error {
  override readonly name = "SqlError"
  readonly errno: number
  readonly sqlState: string

  constructor(errno: number, sqlState: string, message: string) {
    super(message)
    this.errno = errno
    this.sqlState = sqlState
  }
}

export interface DatabaseProxy {
  port: number
  /** Calls have the server `database`, a method of `methods`, and a statement's text as their request. */
  faults: Faults
  /** Where the server listens; connections that come earlier are cut. */
  target: number | undefined
  /** Connections that are open now, and the most that were at once. */
  counts: { open: number; peak: number; total: number }
  /** Cuts every connection. */
  cut(): void
  stop(): Promise<void>
}

const QUIT = 0x01
const QUERY = 0x03
const STATEMENT_CLOSE = 0x19
/** Commands by their first byte; a new connection is the method `connect`. */
const methods: Record<number, string> = { 0x03: "query", 0x0e: "ping", 0x16: "prepare", 0x17: "execute", 0x1f: "reset" }

const HEADER_BYTES = 4

export async function startDatabaseProxy(): Promise<DatabaseProxy> {
  const open = new Set<Socket>()
  const counts = { open: 0, peak: 0, total: 0 }
  const server: Server = createServer((client) => {
    open.add(client)
    counts.total++
    counts.open = open.size
    counts.peak = Math.max(counts.peak, open.size)
    client.once("close", () => {
      open.delete(client)
      counts.open = open.size
    })
    void serveConnection(proxy, client)
  })
  const proxy: DatabaseProxy = {
    port: 0,
    faults: new Faults(),
    target: undefined,
    counts,
    cut: () => {
      for (const client of open) client.destroy()
    },
    stop: async () => {
      for (const client of open) client.destroy()
      server.close()
      await once(server, "close")
    },
  }
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  proxy.port = (server.address() as { port: number }).port
  return proxy
}

async function serveConnection(proxy: DatabaseProxy, client: Socket): Promise<void> {
  const clientPort = client.remotePort
  client.on("error", () => undefined)
  if (proxy.target === undefined) {
    client.destroy()
    return
  }
  client.setNoDelay(true)
  let server: Socket | undefined
  /** Called with the beginning of the next answer, or an error if there will be none. */
  let answer: PromiseWithResolvers<void> | undefined
  /** An answer that is not passed on yet. */
  let held: Buffer[] | undefined

  const end = () => {
    client.destroy()
    server?.destroy()
    answer?.reject(new Error("the connection is closed"))
  }
  client.once("close", end)

  const awaitAnswer = async (send: () => void) => {
    answer = Promise.withResolvers()
    send()
    await answer.promise
  }
  const passOn = () => {
    for (const chunk of held ?? []) client.write(chunk)
    held = undefined
  }
  const ask = async (method: string, request: string, send: () => void) => {
    try {
      const call = { server: "database" as const, method, resource: "", request, clientPort }
      await proxy.faults.around(call, () => awaitAnswer(send))
      passOn()
    } catch (error) {
      if (!(error instanceof SqlError)) return end()
      held = undefined
      client.write(errorPacket(error))
    }
  }

  await ask("connect", "", () => {
    server = openSocket(proxy.target as number, "127.0.0.1")
    server.setNoDelay(true)
    server.on("error", end)
    server.once("close", end)
    server.on("data", (chunk) => {
      if (answer) {
        held = [chunk]
        answer.resolve()
        answer = undefined
      } else if (held) held.push(chunk)
      else client.write(chunk)
    })
  })
  try {
    for await (const packet of readPackets(client)) {
      const command = packet[3] === 0 ? packet[HEADER_BYTES] : undefined
      const method = methods[command ?? -1]
      // A handshake goes on, or a command that is not answered.
      if (command === undefined || command === QUIT || command === STATEMENT_CLOSE || !method) server?.write(packet)
      else await ask(method, requestOf(packet), () => server?.write(packet))
    }
  } catch {
    // The client is gone.
  }
  end()
}

/** What is asked. With query attributes, which MySQL offers and MariaDB does not, SQL begins behind how many there are. */
function requestOf(packet: Buffer): string {
  const begin = HEADER_BYTES + 1
  const hasAttributes = packet[HEADER_BYTES] === QUERY && packet[begin] === 0 && packet[begin + 1] === 1
  return packet.toString("utf8", hasAttributes ? begin + 2 : begin)
}

async function* readPackets(client: Socket): AsyncGenerator<Buffer> {
  let read: Buffer = Buffer.alloc(0)
  for await (const chunk of client) {
    read = read.length === 0 ? (chunk as Buffer) : Buffer.concat([read, chunk as Buffer])
    for (;;) {
      const length = read.length < HEADER_BYTES ? undefined : HEADER_BYTES + read.readUIntLE(0, 3)
      if (length === undefined || read.length < length) break
      yield read.subarray(0, length)
      read = read.subarray(length)
    }
  }
}

/** https://mariadb.com/kb/en/err_packet/ */
function errorPacket({ errno, sqlState, message }: SqlError): Buffer {
  const body = Buffer.concat([
    Buffer.from([0xff, errno & 0xff, errno >> 8]),
    Buffer.from(`#${sqlState}${message}`, "utf8"),
  ])
  return Buffer.concat([Buffer.from([body.length & 0xff, body.length >> 8, 0, 1]), body])
}
