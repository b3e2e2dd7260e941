import { ConfigurationError } from "./errors.ts"
import { errorFields } from "./telemetry/error-fields.ts"

type Run = (env: NodeJS.ProcessEnv, signal: AbortSignal) => Promise<number>

/**
 * Runs a process: `run` gets a signal that aborts at SIGTERM or SIGINT, and its number is the exit code. A
 * configuration error is told without a stack trace, and exits 1. Where WARM_UP is set, what it would load later is loaded
 * first: the build does so, and node keeps what it has compiled.
 */
export async function runProcess(run: Run, warmUp?: () => Promise<unknown>): Promise<void> {
  const stopping = new AbortController()
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stopping.abort(name))
  try {
    if (process.env["WARM_UP"]) await warmUp?.()
    process.exitCode = await run(process.env, stopping.signal)
  } catch (error) {
    if (error instanceof ConfigurationError) console.error(error.message)
    else {
      const { error: message, ...stack } = errorFields(error)
      console.error(JSON.stringify({ severity: "CRITICAL", message, ...stack }))
    }
    process.exitCode = 1
  }
  // The Google clients keep channels open that nobody waits for.
  process.exit()
}
