import "../../shared/database/drizzle-as-commonjs.ts"
import { CommanderError } from "commander"
import { describeError } from "../../shared/errors.ts"
import { listenForStop } from "./listen-for-stop.ts"
import { type LocalOptions, readLocalOptions } from "./local-options.ts"

const exitCodes = { stopped: 0, failed: 1, usage: 2 } as const

// Bucket, messages, logs and the database's password are nobody else's, of whatever is made by this process or its children.
process.umask(0o077)

process.exitCode = await runCommand(process.argv.slice(2))
// The Google clients keep channels open that nobody waits for.
process.exit()

async function runCommand(args: string[]): Promise<number> {
  let options: LocalOptions
  try {
    options = readLocalOptions(args)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage
    throw error
  }
  const stopping = new AbortController()
  listenForStop((_signal, why) => {
    if (!stopping.signal.aborted) console.error(`${why}: stopping …`)
    stopping.abort(why)
  })
  try {
    // Only now: what it loads takes most of a second, and help needs none of it.
    const { runLocal } = await import("./local-run.ts")
    await runLocal(options, stopping.signal)
    return exitCodes.stopped
  } catch (error) {
    if (stopping.signal.aborted) return exitCodes.stopped
    console.error(describeError(error))
    return exitCodes.failed
  }
}
