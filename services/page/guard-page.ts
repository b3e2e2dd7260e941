import type { FastifyInstance, FastifyRequest } from "fastify"
import { describeError } from "../../shared/errors.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import { sendTrouble, type Trouble } from "./send-trouble.ts"
import type { VerifyViewer } from "./verify-viewer.ts"

declare module "fastify" {
  interface FastifyRequest {
    /** Who looks, where that is asked. */
    viewer?: string
  }
}

// Nothing but this service's own files, and nothing inline: a name or a note that holds markup does nothing.
const policy = [
  "default-src 'none'",
  ...["style-src", "script-src", "img-src", "connect-src", "form-action"].map((name) => `${name} 'self'`),
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ")

/** Who looks is asked before anything is read; every answer is for them alone, and for now. */
export function guardPage(server: FastifyInstance, log: Log, verify: VerifyViewer | undefined): void {
  server.addHook("onRequest", async (request, reply) => {
    void reply.headers({
      "cache-control": "no-store",
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    })
    if (request.routeOptions.url === "/healthz") return
    const trouble = verify ? await findStranger(request, log, verify) : findForeignName(request)
    if (trouble) await sendTrouble(request, reply, trouble)
  })
}

/** A name that somebody else's DNS points here is not ours: https://en.wikipedia.org/wiki/DNS_rebinding */
function findForeignName({ headers }: FastifyRequest): Trouble | undefined {
  if (/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(headers.host ?? "")) return undefined
  return { status: 403, sentence: "This page is for this machine alone." }
}

async function findStranger(request: FastifyRequest, log: Log, verify: VerifyViewer): Promise<Trouble | undefined> {
  const header = request.headers["x-goog-iap-jwt-assertion"]
  const path = request.url
  try {
    const viewer = await verify(typeof header === "string" ? header : undefined)
    if ("email" in viewer) {
      request.viewer = viewer.email
      return undefined
    }
    log.warn({ path, reason: viewer.refused, audience: viewer.audience }, "a viewer is refused")
    return { status: header ? 403 : 401, sentence: "Who looks must come through Identity-Aware Proxy." }
  } catch (error) {
    log.error({ path, error: describeError(error) }, "a viewer cannot be checked")
    return { status: 503, sentence: "Who looks cannot be checked just now." }
  }
}

/** `Sec-Fetch-Site` is the browser's own word, and `Origin` that of older ones. */
export function isSameOrigin({ headers }: FastifyRequest): boolean {
  const site = headers["sec-fetch-site"]
  if (site !== undefined) return site === "same-origin"
  return headers.origin !== undefined && URL.parse(headers.origin)?.host === headers.host
}
