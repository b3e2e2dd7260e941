import { type Command, Option } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField, parseWhole } from "./arguments.ts"
import { type CommandLine, jsonOption } from "./command-line.ts"

const RUNS_LISTED_DEFAULT = 20
const RUNS_LISTED_MAX = 1_000

interface StatusFlags {
  watch?: boolean
  runs?: boolean
  limit: number
  from?: string
  to?: string
  json?: boolean
}

export function addStatus(line: CommandLine): void {
  line.program
    .command("status")
    .description("list the days with what readers see of them, or show one run in detail")
    .argument("[run]", "a date (its newest run) or a run's id", parseField(requestFields.run))
    .option(
      "--from <date>",
      "the first day of the list; by default 35 days, not before the first that was ever asked for",
      parseField(requestFields.date),
    )
    .option("--to <date>", "the last day of the list; yesterday by default", parseField(requestFields.date))
    .option("--runs", "list the newest runs instead of days")
    .addOption(
      new Option("--limit <runs>", "with --runs: how many")
        .default(RUNS_LISTED_DEFAULT)
        .argParser((text) => parseWhole(text, 1, RUNS_LISTED_MAX)),
    )
    .option("--watch", "show progress until the run has its verdict")
    .addOption(jsonOption())
    .addHelpText("after", statusHelp)
    .action(async (name: string | undefined, flags: StatusFlags, command: Command) => {
      const { watch = false, runs = false, json = false, limit, from, to } = flags
      if (watch && !name) command.error("error: --watch needs a run: name its date or id")
      if (name && (runs || from || to)) command.error("error: --runs, --from and --to are for the list: name no run")
      const { showStatus } = await import("../show-status.ts")
      line.exit(await showStatus(name, { watch, runs, limit, from, to, json }, line.terminal))
    })
}

const statusHelp = `
Examples:
  npm run daybook -- status
  npm run daybook -- status --from 2026-01-01 --to 2026-01-31
  npm run daybook -- status --runs --limit 5
  npm run daybook -- status 2026-11-22 --watch
  npm run daybook -- status 2026-11-22-1234567890 --json`
