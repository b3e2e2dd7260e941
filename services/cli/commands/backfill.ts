import { type Command, Option } from "commander"
import type { BackfillKind } from "../../../schemas/database/ledger.ts"
import {
  backfillKindNames,
  backfillOrders,
  RUNS_AT_ONCE,
  requestFields,
} from "../../../shared/messages/person-requests.ts"
import { parseDates, parseField } from "./arguments.ts"
import {
  type CommandLine,
  jsonOption,
  noteOption,
  readSendFlags,
  type SendFlags,
  timeoutOption,
} from "./command-line.ts"

interface BackfillFlags extends SendFlags {
  which: BackfillKind
  order: (typeof backfillOrders)[number]
  runsAtOnce: number
  dryRun?: boolean
}

export function addBackfill(line: CommandLine): void {
  line.program
    .command("backfill")
    .description("ask for many dates to be computed, some at a time")
    .argument("<dates>", "FROM..TO, or one date", parseDates(requestFields.date))
    .addOption(
      new Option("--which <which>", "of which dates").choices(Object.keys(backfillKindNames)).default("missing"),
    )
    .addOption(new Option("--order <order>", "which of them first").choices(backfillOrders).default("newest-first"))
    .addOption(
      new Option("--runs-at-once <runs>", "how many of its runs are at work at once")
        .default(RUNS_AT_ONCE)
        .argParser(parseField(requestFields.runsAtOnce)),
    )
    .option(
      "--dry-run",
      "only list the dates, how they are, about how many purchases they have, and how long it may take",
    )
    .option("--wait", "show progress until all are decided; exit 0 only if none has failed")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", backfillHelp)
    .action(async (dates: { from: string; to: string }, flags: BackfillFlags, command: Command) => {
      const { dryRun = false, which, order, runsAtOnce, ...others } = flags
      const options = readSendFlags(others, command)
      if (dryRun && options.wait) command.error("error: --dry-run asks for nothing to wait for")
      const { requestBackfill } = await import("../request-backfill.ts")
      line.exit(
        await requestBackfill(
          { do: "backfill", ...dates, which, order, runsAtOnce },
          { ...options, dryRun },
          line.terminal,
        ),
      )
    })
}

const backfillHelp = `
The dates are those that it finds when it is asked for, and stay so. One that fails does not stop the others. The daily run
goes before all of them; "status" shows how far it is, and "cancel" gives it up.

Examples:
  npm run daybook -- backfill 2026-01-01..2026-01-31 --dry-run
  npm run daybook -- backfill 2026-01-01..2026-01-31 --wait
  npm run daybook -- backfill 2026-01-01..2026-01-31 --which all --note "new exchange rates"`
