import { lookup as resolveName } from "node:dns"
import { type IncomingMessage, request as requestByHttp } from "node:http"
import { request as requestByHttps } from "node:https"
import { isIP, type LookupFunction } from "node:net"
import { describeError } from "../errors.ts"
import { type AddressKind, classifyAddress } from "./classify-address.ts"

/** A receiver did not take what was sent, or could not be reached: sending it again may help. The text says why. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError"
}

/** How a receiver answered. */
export interface Answer {
  status: number
  /** The beginning of its body, without control characters, and without the path of the URL, which may be a password. */
  text: string
  ms: number
}

export interface PostOptions {
  /** Kinds of addresses that may be connected to. */
  allowed: ReadonlySet<AddressKind>
  /** From the first lookup to the last byte that is read. */
  msMax?: number
  resolve?: typeof resolveName
}

const POST_MS_MAX = 10_000
// Enough for a reason; a receiver may send without end.
const ANSWER_BYTES_MAX = 1_024

/**
 * Posts once, over a connection of its own, and returns whatever is answered, a redirect included, which is not followed.
 * Throws a `DeliveryError` if nothing is. What is connected to is what was checked: a name is resolved once, and the
 * connection gets those addresses. A name of which one address is not allowed is not connected to at all.
 */
export async function postOnce(
  url: URL,
  headers: Record<string, string>,
  body: string,
  options: PostOptions,
): Promise<Answer> {
  const { msMax = POST_MS_MAX, allowed, resolve = resolveName } = options
  const host = hostOf(url)
  // Nothing is looked up for a literal address.
  if (isIP(host) !== 0) requireAllowed(host, [host], allowed)
  const startedAt = performance.now()
  const signal = AbortSignal.timeout(msMax)
  try {
    const response = await new Promise<IncomingMessage>((resolved, reject) => {
      // Whatever becomes of the request: node tells nothing of one that is answered by another protocol (101).
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true })
      const request = (url.protocol === "https:" ? requestByHttps : requestByHttp)(url, {
        method: "POST",
        headers: { ...headers, "content-length": Buffer.byteLength(body), connection: "close" },
        lookup: checkedLookup(allowed, resolve),
        // A connection of its own: none that is kept alive, or that a proxy of the environment has.
        agent: false,
        rejectUnauthorized: true,
        signal,
      })
      request.once("response", resolved).on("error", reject)
      request.once("close", () => reject(new Error("it hung up without an answer")))
      request.end(body)
    })
    const text = hidePath(await readBeginning(response), url)
    return { status: response.statusCode ?? 0, text, ms: performance.now() - startedAt }
  } catch (error) {
    if (error instanceof DeliveryError) throw error
    const why = signal.aborted ? `it has not answered within ${msMax / 1000} s` : describeError(error)
    throw new DeliveryError(
      `${url.origin} cannot be notified: ${why}. Check that the receiver runs, or correct NOTIFY_URL.`,
      { cause: error },
    )
  }
}

/** As a resolver takes it. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1")
}

/** Looks a name up and hands on its addresses, unless one of them is not allowed. */
function checkedLookup(allowed: ReadonlySet<AddressKind>, resolve: typeof resolveName): LookupFunction {
  return (name, options, done) => {
    resolve(name, { ...options, all: true }, (error, addresses) => {
      try {
        if (error) throw error
        requireAllowed(
          name,
          addresses.map(({ address }) => address),
          allowed,
        )
        const [first] = addresses
        if (!first) throw new DeliveryError(`${name} has no address`)
        if (options.all) done(null, addresses)
        else done(null, first.address, first.family)
      } catch (failure) {
        done(failure as Error, "")
      }
    })
  }
}

function requireAllowed(host: string, addresses: string[], allowed: ReadonlySet<AddressKind>): void {
  for (const address of addresses) {
    const refusal = explainRefusal(address, allowed)
    if (refusal) throw new DeliveryError(`${host} is not connected to: ${refusal}`)
  }
}

/** Why an address is not connected to, and what to do; undefined if it is. */
export function explainRefusal(address: string, allowed: ReadonlySet<AddressKind>): string | undefined {
  const kind = classifyAddress(address)
  if (allowed.has(kind)) return undefined
  if (kind === "special") return `${address} is link-local or reserved, where no receiver is. Correct NOTIFY_URL.`
  if (!allowed.has("public")) return `${address} is not a loopback address. Use https:// in NOTIFY_URL.`
  return `${address} is a ${kind} address. Correct NOTIFY_URL, or set NOTIFY_ALLOW_PRIVATE=1 if the receiver is there.`
}

/** Many servers repeat in an error what was asked for. */
function hidePath(text: string, { pathname, search }: URL): string {
  const secrets = [pathname, search].filter((part) => part.length > 1)
  return secrets.reduce((hidden, part) => hidden.replaceAll(part, `${part.charAt(0)}…`), text)
}

/** What a body that breaks off, or never ends, has sent so far: the answer is in the status. */
async function readBeginning(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      if (chunks.reduce((bytes, { length }) => bytes + length, 0) >= ANSWER_BYTES_MAX) break
    }
  } catch {
    // It broke off.
  }
  const text = Buffer.concat(chunks).subarray(0, ANSWER_BYTES_MAX).toString("utf8")
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim()
}
