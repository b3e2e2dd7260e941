import { OAuth2Client } from "google-auth-library"
import { ConfigurationError } from "../errors.ts"
import { readTokenPart } from "../google/read-token-part.ts"

// Pub/Sub and Cloud Scheduler prove who calls with an OpenID Connect token:
// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#validate_tokens

export interface TokenVerifierOptions {
  /** What the subscription or the scheduler job names as its audience: the service's own URL. */
  audience: string
  /** The service accounts that may call. */
  accounts: string[]
  /**
   * `verify` takes a token with a good signature only. Cloud Run, where it has checked the caller itself, replaces the
   * signature (https://cloud.google.com/run/docs/authenticating/service-to-service#receive-requests); `trust-cloud-run`
   * believes the claims of such a token too. Anybody could write one: only for a service that Cloud Run locks.
   */
  mode: "verify" | "trust-cloud-run"
  /** Where the signers' certificates are, as a JSON object of PEM by key id; Google's unless given. */
  certsUrl?: string | undefined
}

/** Who calls, or why the call is refused; the reason holds nothing of the token. */
type TokenVerdict = { account: string } | { refused: string }

export type VerifyToken = (authorization: string | undefined) => Promise<TokenVerdict>

const ISSUER = "https://accounts.google.com"
const SIGNATURE_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
// Google's tokens have about 1,000 characters.
const TOKEN_LENGTH_MAX = 8_192
// A caller uses a token for an hour: one is enough for each, and a signature takes a quarter of a millisecond to check.
const SIGNED_MAX = 20
// As in Google's own libraries: clocks differ.
const CLOCK_SKEW_SECONDS = 300

/** The settings of a service, as settings.ts describes them. */
export interface PushSettings {
  PUSH_AUDIENCE?: string | undefined
  PUSH_ACCOUNTS?: string | undefined
  PUSH_TOKENS: TokenVerifierOptions["mode"]
  PUSH_CERTS_URL?: string | undefined
}

/** The check that the settings ask for; none where a local cloud sends no tokens. */
export function openTokenVerifier(settings: PushSettings): VerifyToken | undefined {
  const { PUSH_AUDIENCE: audience, PUSH_ACCOUNTS: accounts } = settings
  if (audience === undefined && accounts === undefined) return undefined
  if (audience === undefined || accounts === undefined) {
    throw new ConfigurationError("PUSH_AUDIENCE and PUSH_ACCOUNTS are set together or not at all")
  }
  return createTokenVerifier({
    audience,
    accounts: accounts.split(/\s+/).filter(Boolean),
    mode: settings.PUSH_TOKENS,
    certsUrl: settings.PUSH_CERTS_URL,
  })
}

/** Makes the check of an `Authorization` header. It throws only if the certificates cannot be had: try again later. */
export function createTokenVerifier(options: TokenVerifierOptions): VerifyToken {
  const client = new OAuth2Client(
    options.certsUrl ? { endpoints: { oauth2FederatedSignonPemCertsUrl: options.certsUrl } } : {},
  )
  // The last ones that were good, the newest at the end: what else a token says is looked at each time.
  const signed = new Set<string>()
  return async (authorization) => {
    if (!authorization) return { refused: "no token" }
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(authorization)?.[1]
    if (!token || token.length > TOKEN_LENGTH_MAX) return { refused: "not a bearer token" }
    const [header, claims] = token.split(".", 2).map(readTokenPart)
    if (header?.alg !== "RS256" || !claims) return { refused: "not a token that Google signs" }
    const trusted = options.mode === "trust-cloud-run" && token.endsWith(`.${SIGNATURE_REMOVED}`)
    if (trusted || signed.has(token)) return checkClaims(claims, options)
    if (!(await isSigned(client, token))) return { refused: "the signature is not good" }
    const verdict = checkClaims(claims, options)
    if ("account" in verdict) remember(signed, token)
    return verdict
  }
}

function remember(signed: Set<string>, token: string): void {
  signed.add(token)
  const [oldest] = signed
  if (signed.size > SIGNED_MAX && oldest !== undefined) signed.delete(oldest)
}

async function isSigned(client: OAuth2Client, token: string): Promise<boolean> {
  const { certs } = await client.getFederatedSignonCertsAsync()
  try {
    await client.verifySignedJwtWithCertsAsync(token, certs)
    return true
  } catch {
    // The library's message holds the whole token.
    return false
  }
}

/** The library leaves it to its user to ask whose token it is. */
function checkClaims(claims: Record<string, unknown>, options: TokenVerifierOptions): TokenVerdict {
  const { iss, aud, exp, iat, email, email_verified: verified } = claims
  const now = Date.now() / 1000
  if (iss !== ISSUER) return { refused: "another issuer" }
  if (aud !== options.audience) return { refused: "for another audience" }
  if (typeof exp !== "number" || exp < now - CLOCK_SKEW_SECONDS) return { refused: "expired" }
  if (typeof iat !== "number" || iat > now + CLOCK_SKEW_SECONDS) return { refused: "not valid yet" }
  if (verified !== true || typeof email !== "string") return { refused: "without a verified account" }
  if (!options.accounts.includes(email)) return { refused: "from another account" }
  return { account: email }
}
