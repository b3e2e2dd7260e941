import { createSign, generateKeyPair, type KeyObject } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { promisify } from "node:util"

/** What a push must carry to prove who sent it: the claims of its OpenID Connect token. */
export interface PushClaims {
  audience: string
  serviceAccountEmail: string
}

/**
 * Signs tokens as Google does for pushes, with a key of its own, and serves the key where services can be told to look
 * (`PUSH_CERTS_URL`): so what checks tokens is the code that checks Google's. Google has several keys and changes
 * them; this has one, for as long as it runs.
 */
export interface PushSigner {
  certsUrl: string
  sign: (claims: PushClaims) => Promise<string>
  stop: () => Promise<void>
}

const KEY_ID = "local"
const RSA_BITS = 2048
const TOKEN_SECONDS = 3600
// A signature takes a millisecond; Google's pushes bring the same token for a while, too.
const REUSE_MS_MAX = 10 * 60_000

export async function startPushSigner(): Promise<PushSigner> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: RSA_BITS })
  const key = { ...publicKey.export({ format: "jwk" }), kid: KEY_ID, alg: "RS256", use: "sig" }
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify({ keys: [key] }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", resolve)
  })
  const signed = new Map<string, { token: string; at: number }>()
  return {
    certsUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/certs`,
    sign: async (claims) => {
      const key = JSON.stringify([claims.audience, claims.serviceAccountEmail])
      const before = signed.get(key)
      const at = Date.now()
      if (before && at - before.at < REUSE_MS_MAX) return before.token
      const token = signToken(privateKey, tokenClaims(claims, at))
      signed.set(key, { token, at })
      return token
    },
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function tokenClaims({ audience, serviceAccountEmail }: PushClaims, atMs: number) {
  const now = Math.floor(atMs / 1000)
  return {
    aud: audience,
    azp: serviceAccountEmail,
    email: serviceAccountEmail,
    email_verified: true,
    exp: now + TOKEN_SECONDS,
    iat: now,
    iss: "https://accounts.google.com",
    sub: serviceAccountEmail,
  }
}

/** A JSON Web Token, RS256. Exported for tests that forge one. */
export function signToken(privateKey: KeyObject, claims: Record<string, unknown>, header = {}): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url")
  const signed = `${encode({ alg: "RS256", kid: KEY_ID, typ: "JWT", ...header })}.${encode(claims)}`
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(privateKey, "base64url")}`
}
