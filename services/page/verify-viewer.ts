import type { JWTPayload } from "jose"
import { openKeySet } from "../../shared/google/key-set.ts"
import { checkSignature, findWrongClaim, readToken } from "../../shared/google/signed-token.ts"

// Identity-Aware Proxy signs who looks, for each request anew, and the service checks it itself: whoever found a way
// round the proxy has no signature. https://cloud.google.com/iap/docs/signed-headers-howto

/** Who looks, or why they may not; the reason holds nothing of the assertion. */
type Viewer = { email: string } | { refused: string; audience?: string }

/** Checks the header `x-goog-iap-jwt-assertion`. It throws only if the keys cannot be had: try again later. */
export type VerifyViewer = (assertion: string | undefined) => Promise<Viewer>

const ISSUER = "https://cloud.google.com/iap"
const GOOGLE_KEYS_URL = "https://www.gstatic.com/iap/verify/public_key-jwk"
const ALGORITHM = "ES256"
const ASSERTION_LENGTH_MAX = 8_192
const CLOCK_SKEW_SECONDS = 30

export interface ViewerOptions {
  audience: string
  /** Where the keys are, as a JSON Web Key Set; Google's unless given. */
  keysUrl?: string | undefined
}

export function openViewerVerifier({ audience, keysUrl }: ViewerOptions): VerifyViewer {
  const keys = openKeySet(keysUrl ?? GOOGLE_KEYS_URL)
  return async (assertion) => {
    if (!assertion) return { refused: "no assertion of IAP" }
    if (assertion.length > ASSERTION_LENGTH_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(assertion)) {
      return { refused: "not an assertion" }
    }
    const token = readToken(assertion, ALGORITHM)
    if (!token) return { refused: "not an assertion that IAP signs" }
    const signature = await checkSignature(token, ALGORITHM, keys)
    if (signature === "of an unknown key") return { refused: "signed with a key that is not IAP's" }
    if (signature === "bad") return { refused: "the signature is not good" }
    return checkClaims(token.claims, audience)
  }
}

function checkClaims(claims: JWTPayload, audience: string): Viewer {
  const wrong = findWrongClaim(claims, { issuer: ISSUER, audience, skewSeconds: CLOCK_SKEW_SECONDS })
  if (wrong !== undefined)
    return { refused: wrong, ...(claims.aud === audience ? {} : { audience: String(claims.aud) }) }
  const { email } = claims
  if (typeof email !== "string" || email === "") return { refused: "without an e-mail address" }
  // Of an external identity it begins with the name of the provider: https://cloud.google.com/iap/docs/identity-howto
  return { email: email.replace(/^[^:]+:/, "") }
}
