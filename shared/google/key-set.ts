import { createRemoteJWKSet, customFetch, type FetchImplementation } from "jose"
import pRetry from "p-retry"

// A key is new for minutes before Google signs with it, and one that it withdraws is forgotten by then.
const KEYS_MS_MAX = 600_000

// A token of a key that is not known may be of a new one, or forged: whoever forges has them fetched no more often.
const UNKNOWN_KEY_PAUSE_MS = 60_000

// While the keys cannot be had nobody is let in: one request tries for all.
const FAILURE_PAUSE_MS = 5_000
const FETCH_RETRIES = 3
const FETCH_BACKOFF_MS = 100

/** The keys of a signer by their ids. Asking for one throws if the set cannot be had. */
export type KeySet = ReturnType<typeof createRemoteJWKSet>

/** Opens the JSON Web Key Set at an address. It is fetched once for all who ask at the same time, and kept. */
export function openKeySet(url: string): KeySet {
  const address = new URL(url)
  let failure: { error: unknown; at: number } | undefined
  const fetchKeys: FetchImplementation = async (_url, options) => {
    const pauseMs = keys.fresh ? UNKNOWN_KEY_PAUSE_MS : FAILURE_PAUSE_MS
    if (failure && performance.now() - failure.at < pauseMs) throw failure.error
    try {
      return await pRetry(() => fetchOnce(address, options), {
        retries: FETCH_RETRIES,
        minTimeout: FETCH_BACKOFF_MS,
        signal: options.signal,
      })
    } catch (error) {
      failure = { error, at: performance.now() }
      throw error
    }
  }
  const keys = createRemoteJWKSet(address, {
    cacheMaxAge: KEYS_MS_MAX,
    cooldownDuration: UNKNOWN_KEY_PAUSE_MS,
    [customFetch]: fetchKeys,
  })
  return keys
}

async function fetchOnce(address: URL, options: Parameters<FetchImplementation>[1]): Promise<Response> {
  try {
    const response = await fetch(address, options)
    if (response.status === 200) return response
    throw new Error(`it answers ${response.status}`)
  } catch (cause) {
    throw new Error(`the keys at ${address.href} cannot be read`, { cause })
  }
}
