import { compactVerify, decodeJwt, decodeProtectedHeader, errors, type JWTPayload } from "jose"
import type { KeySet } from "./key-set.ts"

/** A JSON Web Token as it was sent: proven by nothing yet. */
export interface SentToken {
  text: string
  /** The key that it names. */
  keyId: string
  claims: JWTPayload
}

/** Reads a token that names its key and is signed with that algorithm, if it is signed; undefined for anything else. */
export function readToken(text: string, algorithm: "RS256" | "ES256"): SentToken | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(text)
    return alg === algorithm && kid !== undefined ? { text, keyId: kid, claims: decodeJwt(text) } : undefined
  } catch {
    return undefined
  }
}

/** Whether a key of the set has signed the token. Throws only if the keys cannot be had: try again later. */
export async function checkSignature(
  { text, keyId }: SentToken,
  algorithm: "RS256" | "ES256",
  keys: KeySet,
): Promise<"good" | "bad" | "of an unknown key"> {
  const key = await findKey(keys, algorithm, keyId)
  if (!key) return "of an unknown key"
  try {
    await compactVerify(text, key, { algorithms: [algorithm] })
    return "good"
  } catch {
    return "bad"
  }
}

async function findKey(keys: KeySet, alg: string, kid: string): Promise<Awaited<ReturnType<KeySet>> | undefined> {
  try {
    return await keys({ alg, kid })
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return undefined
    throw error
  }
}

/** What is wrong with whom a token is from and for, and when; undefined: nothing. */
export function findWrongClaim(
  { iss, aud, exp, iat }: JWTPayload,
  wanted: { issuer: string; audience: string; skewSeconds: number },
): string | undefined {
  const now = Date.now() / 1_000
  if (iss !== wanted.issuer) return "another issuer"
  if (aud !== wanted.audience) return "for another audience"
  if (typeof exp !== "number" || exp < now - wanted.skewSeconds) return "expired"
  if (typeof iat !== "number" || iat > now + wanted.skewSeconds) return "not valid yet"
  return undefined
}
