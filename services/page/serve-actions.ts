import type { FastifyInstance } from "fastify"
import type { Asker } from "../../shared/asker.ts"
import { PermanentError } from "../../shared/errors.ts"
import { formatRequest } from "../../shared/messages/format-request.ts"
import { readRequest } from "../../shared/messages/person-requests.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import { isSameOrigin } from "./guard-page.ts"
import { createPublisher } from "./publish-once.ts"
import { sendTrouble } from "./send-trouble.ts"

/** Sends a request and returns its message id. */
export type Publish = (request: { topic: string; data: string }, asker: Asker) => Promise<string>

/** Takes the forms of this page, of no other site, each once. */
export function serveActions(server: FastifyInstance, publish: Publish, log: Log): void {
  const publishOnce = createPublisher<string>()
  server.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  )
  server.post<{ Body: Record<string, string> }>("/do", { schema: { hide: true } }, async (request, reply) => {
    if (!isSameOrigin(request)) {
      log.warn({ origin: request.headers.origin, viewer: request.viewer }, "a form of another site is refused")
      return sendTrouble(request, reply, { status: 403, sentence: "Requests are only taken from this page." })
    }
    const { form, note, day, ...fields } = request.body ?? {}
    const requested = readRequest(fields)
    if (!requested || !form) throw new PermanentError("the form says neither what to do nor which form it is")
    const asked = formatRequest(requested)
    const asker = { askedBy: request.viewer ?? null, via: "page", note: note?.trim() || null }
    const messageId = await publishOnce(form, () => publish(asked, asker))
    log.info({ topic: asked.topic, messageId, askedBy: asker.askedBy, note: asker.note }, "a request is published")
    const back = new URLSearchParams({ ...(day ? { day } : {}), asked: messageId, topic: asked.topic })
    return reply.redirect(`/?${back.toString()}`, 303)
  })
}
