import { OAuth2Client } from "google-auth-library"
import { readTokenPart } from "../../shared/google/read-token-part.ts"

// Identity-Aware Proxy signs who looks, for each request anew, and the service checks it itself: whoever found a way
// round the proxy has no signature. https://cloud.google.com/iap/docs/signed-headers-howto

/** Who looks, or why they may not; the reason holds nothing of the assertion. */
type Viewer = { email: string } | { refused: string; audience?: string }

/** Checks the header `x-goog-iap-jwt-assertion`. It throws only if the keys cannot be had: try again later. */
export type VerifyViewer = (assertion: string | undefined) => Promise<Viewer>

const ISSUER = "https://cloud.google.com/iap"
const ASSERTION_LENGTH_MAX = 8_192
// Google's own advice: a key may be new within minutes.
const KEYS_MS = 600_000
const CLOCK_SKEW_SECONDS = 30

export interface ViewerOptions {
  audience: string
  /** Where the keys are, as a JSON object of PEM by key id; Google's unless given. */
  keysUrl?: string | undefined
}

export function openViewerVerifier({ audience, keysUrl }: ViewerOptions): VerifyViewer {
  const client = new OAuth2Client(keysUrl ? { endpoints: { oauth2IapPublicKeyUrl: keysUrl } } : {})
  let keys: { readAt: number; byId: Record<string, string> } | undefined

  async function readKeys(keyId: string): Promise<Record<string, string>> {
    const age = keys ? performance.now() - keys.readAt : Number.POSITIVE_INFINITY
    // A key that is not known yet is asked for at once, but not for every forged one.
    if (!keys || age > KEYS_MS || (keys.byId[keyId] === undefined && age > 5_000)) {
      const { pubkeys } = await client.getIapPublicKeysAsync()
      keys = { readAt: performance.now(), byId: pubkeys }
    }
    return keys.byId
  }

  return async (assertion) => {
    if (!assertion) return { refused: "no assertion of IAP" }
    if (assertion.length > ASSERTION_LENGTH_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(assertion)) {
      return { refused: "not an assertion" }
    }
    const [header, claims] = assertion.split(".", 2).map(readTokenPart)
    if (header?.["alg"] !== "ES256" || typeof header["kid"] !== "string" || !claims) {
      return { refused: "not an assertion that IAP signs" }
    }
    const byId = await readKeys(header["kid"])
    if (!Object.hasOwn(byId, header["kid"])) return { refused: "signed with a key that is not IAP's" }
    try {
      await client.verifySignedJwtWithCertsAsync(assertion, byId)
    } catch {
      // The library's message holds the whole assertion.
      return { refused: "the signature is not good, or it has expired" }
    }
    return checkClaims(claims, audience)
  }
}

function checkClaims(claims: Record<string, unknown>, audience: string): Viewer {
  const { iss, aud, exp, iat, email } = claims
  const now = Date.now() / 1_000
  if (iss !== ISSUER) return { refused: "another issuer" }
  if (aud !== audience) return { refused: "for another audience", audience: String(aud) }
  if (typeof exp !== "number" || exp < now - CLOCK_SKEW_SECONDS) return { refused: "expired" }
  if (typeof iat !== "number" || iat > now + CLOCK_SKEW_SECONDS) return { refused: "not valid yet" }
  if (typeof email !== "string" || email === "") return { refused: "without an e-mail address" }
  // Of an external identity it begins with the name of the provider: https://cloud.google.com/iap/docs/identity-howto
  return { email: email.replace(/^[^:]+:/, "") }
}
