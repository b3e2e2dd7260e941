import { Command, CommanderError } from "commander"
import packageJson from "../../package.json" with { type: "json" }
import { addAudit } from "./commands/audit.ts"
import { addBackfill } from "./commands/backfill.ts"
import { addCancel } from "./commands/cancel.ts"
import type { CommandLine } from "./commands/command-line.ts"
import { addDiff } from "./commands/diff.ts"
import { addForget } from "./commands/forget.ts"
import { addNotify } from "./commands/notify.ts"
import { addPause, addResume } from "./commands/pause.ts"
import { addRelease } from "./commands/release.ts"
import { addRerun } from "./commands/rerun.ts"
import { addRetention } from "./commands/retention.ts"
import { addShop } from "./commands/shop.ts"
import { addStart } from "./commands/start.ts"
import { addStatus } from "./commands/status.ts"
import { explainError } from "./explain-error.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

// Each command loads its own code: the clients and drizzle take most of a second, and --help needs none of it.

/** In the order in which --help lists them. */
const commands: ((line: CommandLine) => void)[] = [
  addStart,
  addStatus,
  addAudit,
  addDiff,
  addShop,
  addNotify,
  addRetention,
  addForget,
  addCancel,
  addRelease,
  addPause,
  addResume,
  addBackfill,
  addRerun,
]

/** Runs one command line and returns its exit code. */
export async function runDaybook(args: string[], terminal: Terminal): Promise<number> {
  let exitCode: number = exitCodes.ok
  const program = createProgram(terminal)
  const exit = (code: number) => {
    exitCode = code
  }
  for (const register of commands) register({ program, terminal, exit })
  try {
    await program.parseAsync(args, { from: "user" })
    return exitCode
  } catch (error) {
    // Commander has printed its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    const sentence = explainError(error, terminal.env)
    terminal.stderr.write(`${sentence}\n`)
    if (args.includes("--json")) printResult(terminal, true, { error: sentence }, [])
    return exitCodes.failed
  }
}

function createProgram(terminal: Terminal): Command {
  return new Command("daybook")
    .usage("<command> [options]")
    .description("What every user spent on one day: starts runs, shows them, and reruns what failed.")
    .version(packageJson.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHelpWidth: () => terminal.stdout.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
    })
    .showHelpAfterError("(--help says more)")
    .addHelpText("after", generalHelp)
}

const generalHelp = `
Exit codes:
  0    done; with --wait: the verdict is complete
  1    it did not work; with --wait: the verdict is incomplete, the request was rejected, or the time is over
  2    the command line cannot be understood
  130  interrupted; a run that was asked for goes on

Environment (npm run local prints it for a local cloud):
  GOOGLE_CLOUD_PROJECT    start, rerun, audit: the project of the topics
  SHOP_FILE               shop, diff, forget, and where amounts are printed: the declaration of the shop's tables
  DATABASE_URL            status, diff, shop check, retention, forget, --wait: mysql://user:password@host:port/database
  BUCKET                  status, retention, forget, --wait: the bucket of plans, manifests and verdicts
  PUBSUB_EMULATOR_HOST    host:port of a local Pub/Sub, instead of Google's
  STORAGE_EMULATOR_HOST   http://host:port of a local Cloud Storage, instead of Google's
  LOCAL_FOLDER            the data folder of a local cloud, to say where its files are

With --json, standard output holds one JSON document and nothing else: 64-bit numbers are strings, times are RFC 3339
in UTC, and an error is {"error": "…"}. Progress and errors go to standard error.

Examples:
  npm run daybook -- start yesterday --wait
  npm run daybook -- status 2026-11-22
  npm run daybook -- rerun 2026-11-22 --shards 3,7 --wait`
