import { isIP } from "node:net"
import * as v from "valibot"
import { text } from "../config/read-config.ts"
import type { AddressKind } from "./classify-address.ts"
import { explainRefusal, hostOf } from "./post-once.ts"

/** Who is notified, and how. */
export interface Receiver {
  url: URL
  /** What messages are signed with: none, one, or two while one is replaced. */
  keys: string[]
  format: "cloudevents" | "text"
  /** Kinds of addresses that may be connected to. */
  allowed: ReadonlySet<AddressKind>
  /** Where the page of the days is. */
  pageUrl: string | undefined
}

interface ReceiverConfig {
  NOTIFY_URL?: string | undefined
  NOTIFY_SECRETS?: string | undefined
  NOTIFY_FORMAT: Receiver["format"]
  NOTIFY_ALLOW_PRIVATE: "0" | "1"
  PAGE_URL?: string | undefined
  PUBSUB_EMULATOR_HOST?: string | undefined
}

const KEY_PREFIX = "whsec_"
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
const KEY_BYTES = { min: 24, max: 64 }
// One, and another while receivers change from one to the other.
const KEYS_MAX = 2
const SECRETS =
  "the signing key, or two separated by a space, and the receiver's URL where that is a password; " +
  `make a key with: echo "${KEY_PREFIX}$(openssl rand -base64 32)"`

/** The settings of whoever notifies a receiver. What is required of them, and where it may be, hangs on each other. */
export function receiverSettings(env: NodeJS.ProcessEnv) {
  const { NOTIFY_SECRETS: secrets = "", NOTIFY_FORMAT: format } = env
  const url = v.pipe(
    text("where notifications are posted"),
    v.check(
      (given) => findUrlProblem(given, env) === undefined,
      (issue) => findUrlProblem(issue.input, env) ?? "",
    ),
  )
  const secret = v.pipe(
    text(SECRETS),
    v.check(
      (given) => findSecretProblem(given, env) === undefined,
      (issue) => findSecretProblem(issue.input, env) ?? "",
    ),
  )
  return {
    NOTIFY_URL: splitSecrets(secrets).urls.length > 0 ? v.optional(url) : url,
    NOTIFY_SECRETS: format === "text" ? v.optional(secret) : secret,
    NOTIFY_FORMAT: v.optional(v.picklist(["cloudevents", "text"], "is not cloudevents or text"), "cloudevents"),
    NOTIFY_ALLOW_PRIVATE: v.optional(v.picklist(["0", "1"], "is not 0 or 1"), "0"),
    PAGE_URL: v.optional(
      v.pipe(
        text("the address of the page of the days"),
        v.check(isPageUrl, "is not a URL such as https://days.example"),
      ),
    ),
  }
}

/** What the settings say; they have been checked. */
export function openReceiver(config: ReceiverConfig): Receiver {
  const { keys, urls } = splitSecrets(config.NOTIFY_SECRETS ?? "")
  const url = new URL(config.NOTIFY_URL ?? urls[0] ?? "")
  const isLocal = config.PUBSUB_EMULATOR_HOST !== undefined
  return {
    url,
    keys,
    format: config.NOTIFY_FORMAT,
    allowed: listAllowed(url, { isLocal, isPrivateAllowed: config.NOTIFY_ALLOW_PRIVATE === "1" }),
    pageUrl: config.PAGE_URL,
  }
}

interface Circumstances {
  /** In a local cloud. */
  isLocal: boolean
  isPrivateAllowed: boolean
}

/** A receiver on the developer's own machine needs no certificate. */
function listAllowed(url: URL, { isLocal, isPrivateAllowed }: Circumstances): ReadonlySet<AddressKind> {
  if (url.protocol === "http:") return new Set(["loopback"])
  if (isPrivateAllowed) return new Set(["public", "private", "loopback"])
  return new Set(isLocal ? ["public", "loopback"] : ["public"])
}

/** None of the problems repeats the URL: it may be a password. */
function findUrlProblem(given: string, env: NodeJS.ProcessEnv): string | undefined {
  if (!URL.canParse(given)) return "is not a URL such as https://chat.example/hooks/1"
  const url = new URL(given)
  const isLocal = env["PUBSUB_EMULATOR_HOST"] !== undefined
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal)) return "does not begin with https://"
  const allowed = listAllowed(url, { isLocal, isPrivateAllowed: env["NOTIFY_ALLOW_PRIVATE"] === "1" })
  const host = hostOf(url)
  // What a name leads to is looked at when it is connected to: that may change.
  const refusal = isIP(host) === 0 ? undefined : explainRefusal(host, allowed)
  return refusal && `cannot be notified: ${refusal}`
}

function findSecretProblem(given: string, env: NodeJS.ProcessEnv): string | undefined {
  const { keys, urls, others } = splitSecrets(given)
  if (others > 0) return `holds something that begins neither with ${KEY_PREFIX} nor with https://`
  if (keys.length > KEYS_MAX) return `holds more than ${KEYS_MAX} keys`
  if (keys.length === 0 && env["NOTIFY_FORMAT"] !== "text") return "holds no key"
  if (!keys.every(isKey)) return `holds a key that is not ${KEY_BYTES.min} to ${KEY_BYTES.max} bytes in base64`
  if (urls.length > 1) return "holds more than one URL"
  const problem = urls.map((url) => findUrlProblem(url, env)).find((found) => found !== undefined)
  return problem && `holds a URL that ${problem}`
}

/** A secret that was made by `echo` ends with a newline. */
function splitSecrets(given: string): { keys: string[]; urls: string[]; others: number } {
  const words = given.split(/\s+/).filter(Boolean)
  const keys = words.filter((word) => word.startsWith(KEY_PREFIX))
  const urls = words.filter((word) => /^https?:/i.test(word))
  return { keys, urls, others: words.length - keys.length - urls.length }
}

function isKey(key: string): boolean {
  const encoded = key.slice(KEY_PREFIX.length)
  const bytes = Buffer.from(encoded, "base64")
  const isWhole = bytes.toString("base64") === encoded
  return isWhole && bytes.length >= KEY_BYTES.min && bytes.length <= KEY_BYTES.max
}

function isPageUrl(given: string): boolean {
  return URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)
}
