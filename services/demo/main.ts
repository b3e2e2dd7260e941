import "../../shared/database/drizzle-as-commonjs.ts"
import { CommanderError } from "commander"
import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import { describeError } from "../../shared/errors.ts"
import { listenForStop } from "../local/listen-for-stop.ts"
import { type DemoOptions, readDemoOptions } from "./options.ts"

const exitCodes = { complete: 0, failed: 1, usage: 2 } as const
// As a shell counts: 128 and the signal's number.
const signalExitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

process.exitCode = await runCommand(process.argv.slice(2))
// The Google clients keep channels open that nobody waits for.
process.exit()

async function runCommand(args: string[]): Promise<number> {
  let options: DemoOptions
  try {
    options = readDemoOptions(args, process.env)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.complete : exitCodes.usage
    throw error
  }
  const stopping = new AbortController()
  let stoppedBy: keyof typeof signalExitCodes | undefined
  listenForStop((signal, why) => {
    if (!stoppedBy) process.stderr.write(`\n${why}: stopping and cleaning up …\n`)
    stoppedBy ??= signal
    stopping.abort(why)
  })
  try {
    // Only now: what it loads takes most of a second, and help needs none of it.
    const { runDemo } = await import("./run-demo.ts")
    const isComplete = await runDemo(options, process.stdout, stopping.signal)
    if (!stoppedBy || options.keepRunning) return isComplete ? exitCodes.complete : exitCodes.failed
  } catch (error) {
    // Whatever was under way when the person interrupted has failed because of that.
    if (!stoppedBy) {
      const { databaseUrl } = options.database
      process.stderr.write(
        `${(databaseUrl && explainDatabaseError(error, databaseUrl)) ?? `The demo failed: ${describeError(error)}`}\n`,
      )
      return exitCodes.failed
    }
  }
  return stoppedBy ? signalExitCodes[stoppedBy] : exitCodes.failed
}
