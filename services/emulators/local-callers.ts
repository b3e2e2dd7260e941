import type { IncomingHttpHeaders } from "node:http"

// A page in a browser on this machine can send a request to any of its ports, but it cannot lie about where it comes
// from, and a name that somebody's DNS points here is in the Host header: https://en.wikipedia.org/wiki/DNS_rebinding

const LOCAL = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/

/** Why a request is none of a program on this machine; undefined: it is one. */
export function findStranger(headers: IncomingHttpHeaders, isOpen = false): string | undefined {
  const { origin, host } = headers
  if (origin !== undefined && !LOCAL.test(URL.parse(origin)?.host ?? "")) {
    return `Requests of web pages are not served (Origin: ${origin}).`
  }
  // Where others are let in, they come by whatever name they know.
  if (!isOpen && host !== undefined && !LOCAL.test(host)) {
    return `This server is for this machine alone, and not for ${host}.`
  }
  return undefined
}

/** Slow clients are not waited for: in milliseconds, for the head of a request, for all of it, and between two looks. */
export const slownessLimits = { headersTimeout: 10_000, requestTimeout: 60_000, connectionsCheckingInterval: 2_000 }

/** As many as a machine's programs could want; others wait in the system's own queue, and are refused beyond that. */
export const CONNECTIONS_MAX = 1_000
