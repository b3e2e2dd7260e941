import type { FastifyReply, FastifyRequest } from "fastify"
import { renderTrouble } from "./html/trouble.ts"

/** Why there is no page, as a sentence for who looks. */
export interface Trouble {
  status: number
  sentence: string
}

export async function sendTrouble(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, sentence }: Trouble,
): Promise<FastifyReply> {
  void reply.code(status)
  if (request.url.startsWith("/api/")) return reply.send({ error: sentence })
  return reply.type("text/html; charset=utf-8").send(String(await renderTrouble(sentence)))
}
