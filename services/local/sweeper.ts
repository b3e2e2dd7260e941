export interface Sweeper {
  /** Sweeps after the sweep that is under way, if any. Throws if the finalizer did not do it. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

export interface SweeperOptions {
  finalizerUrl: string
  /** Proves who calls. */
  token: () => Promise<string>
  /** Between two sweeps; 0 for none but those asked for. */
  seconds: number
  log: (line: string) => void
}

// Far longer than a sweep takes; Cloud Scheduler's own limit is 30 minutes.
const SWEEP_TIMEOUT_MS = 10 * 60_000

/** Calls the finalizer now and then, as Cloud Scheduler does in the cloud. Sweeps never overlap. */
export function startSweeper(options: SweeperOptions): Sweeper {
  const { seconds, log } = options
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let last: Promise<unknown> = Promise.resolve()
  // One line for each trouble, not one for each sweep of it.
  let trouble = ""

  function sweep(): Promise<void> {
    const next = last.then(() => callSweep(options, stopping.signal))
    last = next.catch(() => undefined)
    return next
  }

  async function sweepRegularly(): Promise<void> {
    try {
      await sweep()
      trouble = ""
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (message !== trouble && !stopping.signal.aborted) log(`the sweep failed and is repeated: ${message}`)
      trouble = message
    }
    schedule()
  }

  function schedule(): void {
    if (seconds > 0 && !stopping.signal.aborted) timer = setTimeout(() => void sweepRegularly(), seconds * 1000)
  }

  schedule()
  return {
    sweep,
    stop: async () => {
      stopping.abort()
      clearTimeout(timer)
      await last
    },
  }
}

async function callSweep({ finalizerUrl, token }: SweeperOptions, stopping: AbortSignal): Promise<void> {
  stopping.throwIfAborted()
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(SWEEP_TIMEOUT_MS)])
  const response = await fetch(`${finalizerUrl}/sweep`, {
    method: "POST",
    headers: { authorization: `Bearer ${await token()}` },
    signal,
  })
  if (!response.ok) throw new Error(`POST ${finalizerUrl}/sweep answered ${response.status}: ${await response.text()}`)
  await response.body?.cancel()
}
