import { ConfigurationError } from "../errors.ts"
import { openKeySet } from "../google/key-set.ts"
import { checkSignature, findWrongClaim, readToken, type SentToken } from "../google/signed-token.ts"

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
  /** Where the signers' keys are, as a JSON Web Key Set; Google's unless given. */
  certsUrl?: string | undefined
}

/** Who calls, or why the call is refused; the reason holds nothing of the token. */
type TokenVerdict = { account: string } | { refused: string }

export type VerifyToken = (authorization: string | undefined) => Promise<TokenVerdict>

const ISSUER = "https://accounts.google.com"
// https://accounts.google.com/.well-known/openid-configuration names it.
const GOOGLE_KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
const ALGORITHM = "RS256"
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

/** Makes the check of an `Authorization` header. It throws only if the keys cannot be had: try again later. */
export function createTokenVerifier(options: TokenVerifierOptions): VerifyToken {
  const keys = openKeySet(options.certsUrl ?? GOOGLE_KEYS_URL)
  // The last ones that were good, the newest at the end: what else a token says is looked at each time.
  const signed = new Set<string>()
  return async (authorization) => {
    if (!authorization) return { refused: "no token" }
    const text = /^Bearer ([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(authorization)?.[1]
    if (!text || text.length > TOKEN_LENGTH_MAX) return { refused: "not a bearer token" }
    const token = readToken(text, ALGORITHM)
    if (!token) return { refused: "not a token that Google signs" }
    const trusted = options.mode === "trust-cloud-run" && text.endsWith(`.${SIGNATURE_REMOVED}`)
    if (trusted || signed.has(text)) return checkClaims(token, options)
    if ((await checkSignature(token, ALGORITHM, keys)) !== "good") return { refused: "the signature is not good" }
    const verdict = checkClaims(token, options)
    if ("account" in verdict) remember(signed, text)
    return verdict
  }
}

function remember(signed: Set<string>, token: string): void {
  signed.add(token)
  const [oldest] = signed
  if (signed.size > SIGNED_MAX && oldest !== undefined) signed.delete(oldest)
}

/** A good signature is Google's for anybody: whose token it is, and for whom, is asked here. */
function checkClaims({ claims }: SentToken, { audience, accounts }: TokenVerifierOptions): TokenVerdict {
  const wrong = findWrongClaim(claims, { issuer: ISSUER, audience, skewSeconds: CLOCK_SKEW_SECONDS })
  if (wrong !== undefined) return { refused: wrong }
  const { email, email_verified: verified } = claims
  if (verified !== true || typeof email !== "string") return { refused: "without a verified account" }
  if (!accounts.includes(email)) return { refused: "from another account" }
  return { account: email }
}
