import type { Server as HttpServer } from "node:http"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import type { Duplex } from "node:stream"

// Every HTTP/2 connection begins with these bytes, and no HTTP/1.1 one: https://www.rfc-editor.org/rfc/rfc9113#section-3.4
const PREFACE = Buffer.from("PRI * HTTP/2.0")

// Whoever says nothing is not waited for.
const SILENCE_MS_MAX = 10_000

export interface SharedPort {
  port: number
  stop(): Promise<void>
}

/** One port for gRPC and for JSON over HTTP/1.1, as Google's emulators have it: told apart by how a connection begins. */
export async function sharePort(
  { host, port }: { host: string; port: number },
  http: HttpServer,
  grpc: (connection: Duplex) => void,
): Promise<SharedPort> {
  const open = new Set<Socket>()
  const server: Server = createServer({ noDelay: true }, (socket) => {
    open.add(socket)
    socket.on("close", () => open.delete(socket))
    // A client that has gone is no error of anybody's.
    socket.on("error", () => socket.destroy())
    socket.setTimeout(SILENCE_MS_MAX, () => socket.destroy())
    socket.once("data", (first: Buffer) => {
      socket.setTimeout(0)
      socket.removeAllListeners("timeout")
      socket.pause()
      socket.unshift(first)
      const isHttp2 = first.subarray(0, PREFACE.length).equals(PREFACE.subarray(0, first.length))
      if (isHttp2) grpc(socket)
      else {
        http.emit("connection", socket)
        socket.resume()
      }
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen({ host, port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of open) socket.destroy()
      http.closeAllConnections()
      http.close()
      await closed
    },
  }
}
