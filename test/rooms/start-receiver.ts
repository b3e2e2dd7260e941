import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"

/** What a receiver was sent. */
export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** How a receiver answers the nth request, from 1. */
export type AnswerRequest = (response: ServerResponse, count: number) => unknown

export interface TestReceiver {
  url: string
  port: number
  received: Received[]
  /** Called for each connection that is made to it. */
  onConnection: () => void
  stop: () => Promise<void>
}

const accept: AnswerRequest = (response) => response.writeHead(204).end()

/** A receiver of notifications that keeps what it gets; with a certificate it speaks TLS. */
export async function startReceiver(
  answer: AnswerRequest = accept,
  tls?: { key: string; cert: string },
): Promise<TestReceiver> {
  const listener: RequestListener = (request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (part: string) => (body += part))
    request.on("end", () => {
      receiver.received.push({ path: request.url ?? "", headers: request.headers, body })
      answer(response, receiver.received.length)
    })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  server.on("connection", () => receiver.onConnection())
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const receiver: TestReceiver = {
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}/hook`,
    port,
    received: [],
    onConnection: () => {},
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}
