import { createHash, createSign, generateKeyPair, type KeyObject } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { promisify } from "node:util"

/** What a push must carry to prove who sent it: the claims of its OpenID Connect token. */
export interface PushClaims {
  audience: string
  serviceAccountEmail: string
}

/**
 * Signs tokens as Google does for pushes, with a key of its own, which services can be told to look for
 * (`PUSH_CERTS_URL`): so what checks tokens is the code that checks Google's. Google has several keys and changes
 * them; this has one, for as long as it runs.
 */
export interface PushKey {
  sign: (claims: PushClaims) => Promise<string>
  /** A JSON Web Key Set, as at https://www.googleapis.com/oauth2/v3/certs. */
  keySet: () => Promise<{ keys: object[] }>
  /** By the key's id, as at https://www.googleapis.com/oauth2/v1/certs; a bare public key instead of a certificate. */
  certs: () => Promise<Record<string, string>>
}

/** A key and a server that shows it. */
export interface PushSigner {
  certsUrl: string
  sign: PushKey["sign"]
  stop: () => Promise<void>
}

const KEY_ID = "local"
const RSA_BITS = 2048
const TOKEN_SECONDS = 3600
// A signature takes a millisecond; Google's pushes bring the same token for a while, too.
const REUSE_MS_MAX = 10 * 60_000

/** The key is made when it is first wanted, which takes a tenth of a second. */
export function createPushKey(): PushKey {
  let made: Promise<{ publicKey: KeyObject; privateKey: KeyObject }> | undefined
  const key = () => (made ??= promisify(generateKeyPair)("rsa", { modulusLength: RSA_BITS }))
  const signed = new Map<string, { token: string; at: number }>()
  return {
    keySet: async () => {
      const { publicKey } = await key()
      return { keys: [{ ...publicKey.export({ format: "jwk" }), kid: KEY_ID, alg: "RS256", use: "sig" }] }
    },
    certs: async () => ({ [KEY_ID]: (await key()).publicKey.export({ type: "spki", format: "pem" }).toString() }),
    sign: async (claims) => {
      const { privateKey } = await key()
      const name = JSON.stringify([claims.audience, claims.serviceAccountEmail])
      const before = signed.get(name)
      const at = Date.now()
      if (before && at - before.at < REUSE_MS_MAX) return before.token
      const token = signToken(privateKey, tokenClaims(claims, at))
      signed.set(name, { token, at })
      return token
    },
  }
}

export async function startPushSigner(): Promise<PushSigner> {
  const { sign, keySet } = createPushKey()
  const shown = JSON.stringify(await keySet())
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "application/json")
    response.end(shown)
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", resolve)
  })
  return {
    certsUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/certs`,
    sign,
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function tokenClaims({ audience, serviceAccountEmail }: PushClaims, atMs: number) {
  const now = Math.floor(atMs / 1000)
  const uniqueId = uniqueIdOf(serviceAccountEmail)
  return {
    aud: audience,
    azp: uniqueId,
    email: serviceAccountEmail,
    email_verified: true,
    exp: now + TOKEN_SECONDS,
    iat: now,
    iss: "https://accounts.google.com",
    sub: uniqueId,
  }
}

/** As Google numbers its accounts: 21 digits, the same ones for the same account. */
function uniqueIdOf(email: string): string {
  const number = BigInt(`0x${createHash("sha256").update(email).digest("hex")}`)
  return `1${(number % 10n ** 20n).toString().padStart(20, "0")}`
}

/** A JSON Web Token, RS256. Exported for tests that forge one. */
export function signToken(privateKey: KeyObject, claims: Record<string, unknown>, header = {}): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url")
  const signed = `${encode({ alg: "RS256", kid: KEY_ID, typ: "JWT", ...header })}.${encode(claims)}`
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(privateKey, "base64url")}`
}
