import { Command, CommanderError, InvalidArgumentError, Option } from "commander"
import packageJson from "../../package.json" with { type: "json" }
import type { BackfillKind } from "../../schemas/database/ledger.ts"
import { addNotifyCommand } from "./add-notify-command.ts"
import { explainError } from "./explain-error.ts"
import {
  auditHelp,
  backfillHelp,
  cancelHelp,
  diffHelp,
  forgetHelp,
  generalHelp,
  pauseHelp,
  rerunHelp,
  retentionHelp,
  shopHelp,
  startHelp,
  statusHelp,
} from "./help-texts.ts"
import { isDate, parseRunName, type RunName } from "./run-name.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

// Each command loads its own code: the clients and drizzle take most of a second, and --help needs none of it.

const RUNS_LISTED_DEFAULT = 20
const RUNS_LISTED_MAX = 1_000
const SHARDS_NAMED_MAX = 10_000
// setTimeout knows no longer time.
const TIMEOUT_SECONDS_MAX = 2_147_483

interface SendFlags {
  wait?: boolean
  timeout?: number
  json?: boolean
  note?: string
}

interface BackfillFlags extends SendFlags {
  which: BackfillKind
  order: "newest-first" | "oldest-first"
  runsAtOnce: number
  dryRun?: boolean
}

interface StatusFlags {
  watch?: boolean
  runs?: boolean
  limit: number
  from?: string
  to?: string
  json?: boolean
}

/** Runs one command line and returns its exit code. */
export async function runDaybook(args: string[], terminal: Terminal): Promise<number> {
  let exitCode: number = exitCodes.ok
  const program = createProgram(terminal, (code) => {
    exitCode = code
  })
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

function createProgram(terminal: Terminal, exit: (code: number) => void): Command {
  const program = new Command("daybook")
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

  program
    .command("start")
    .description("ask for one date to be computed")
    .argument("<date>", "YYYY-MM-DD, or yesterday (in the planner's time zone)", parseDate)
    .option("--wait", "show progress until the verdict; exit 0 only if it is complete")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", startHelp)
    .action(async (date: string, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { startRun } = await import("./start-run.ts")
      exit(await startRun(date, options, terminal))
    })

  program
    .command("status")
    .description("list the days with what readers see of them, or show one run in detail")
    .argument("[run]", "a date (its newest run) or a run's id", parseRun)
    .option(
      "--from <date>",
      "the first day of the list; by default 35 days, not before the first that was ever asked for",
      parseExactDate,
    )
    .option("--to <date>", "the last day of the list; yesterday by default", parseExactDate)
    .option("--runs", "list the newest runs instead of days")
    .addOption(
      new Option("--limit <runs>", "with --runs: how many")
        .default(RUNS_LISTED_DEFAULT)
        .argParser((text) => parseWhole(text, 1, RUNS_LISTED_MAX)),
    )
    .option("--watch", "show progress until the run has its verdict")
    .addOption(jsonOption())
    .addHelpText("after", statusHelp)
    .action(async (name: RunName | undefined, flags: StatusFlags, command: Command) => {
      const { watch = false, runs = false, json = false, limit, from, to } = flags
      if (watch && !name) command.error("error: --watch needs a run: name its date or id")
      if (name && (runs || from || to)) command.error("error: --runs, --from and --to are for the list: name no run")
      const { showStatus } = await import("./show-status.ts")
      exit(await showStatus(name, { watch, runs, limit, from, to, json }, terminal))
    })

  program
    .command("audit")
    .description("ask for published days to be compared with the shop as it is now")
    .argument("<dates>", "YYYY-MM-DD, yesterday, or FROM..TO", parseDates)
    .option("--wait", "show progress until all are audited; exit 0 only if none has drifted")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", auditHelp)
    .action(async (dates: { from: string; to: string }, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { auditDays } = await import("./audit-days.ts")
      exit(await auditDays(dates, options, terminal))
    })

  program
    .command("diff")
    .description("show which users' revenue differs between two versions of a date")
    .argument("<date>", "YYYY-MM-DD", parseExactDate)
    .argument("[before]", "a version; by default the newest below the other", parseVersion)
    .argument("[after]", "a version; by default the one that readers see", parseVersion)
    .option("--all", "print every user who differs, a line of JSON each, instead of the twenty who differ most")
    .addOption(jsonOption())
    .addHelpText("after", diffHelp)
    .action(
      async (
        date: string,
        before: number | undefined,
        after: number | undefined,
        flags: { all?: boolean; json?: boolean },
        command: Command,
      ) => {
        if (before !== undefined && after === undefined) command.error("error: name both versions or none")
        const { all = false, json = false } = flags
        const versions = before === undefined || after === undefined ? undefined : { before, after }
        const { diffVersions } = await import("./diff-versions.ts")
        exit(await diffVersions(date, versions, { all, json }, terminal))
      },
    )

  addShopCommands(program, terminal, exit)
  addNotifyCommand(program, terminal, exit)

  program
    .command("retention")
    .description("delete what is older than RETENTION_DAYS and not behind anything that readers see")
    .option("--dry-run", "only list it")
    .addOption(jsonOption())
    .addHelpText("after", retentionHelp)
    .action(async ({ dryRun = false, json = false }: { dryRun?: boolean; json?: boolean }) => {
      const { applyRetention } = await import("./apply-retention.ts")
      exit(await applyRetention({ dryRun, json }, terminal))
    })

  program
    .command("forget")
    .description("erase a user, whom the shop has erased, from Revenue, the documents and the ledger")
    .argument("<user>", "the user's id, as the shop has it")
    .option("--dry-run", "only list what would be erased")
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", forgetHelp)
    .action(async (user: string, flags: { dryRun?: boolean; note?: string; json?: boolean }) => {
      const { dryRun = false, json = false, note } = flags
      const { forgetUser } = await import("./forget-user.ts")
      exit(await forgetUser(user, { dryRun, json, note }, terminal))
    })

  program
    .command("cancel")
    .description("ask for a run that waits, is planned or is computed, or for a backfill, to be given up")
    .argument("<run>", "a date (its newest run), a run's id, or a backfill's", parseRunOrBackfill)
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", cancelHelp)
    .action(async (name: RunName | { backfillId: string }, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { cancelBackfill, cancelRun } = await import("./cancel-run.ts")
      exit(
        "backfillId" in name
          ? await cancelBackfill(name.backfillId, options, terminal)
          : await cancelRun(name, options, terminal),
      )
    })

  program
    .command("release")
    .description("ask for a day that a check holds to be shown as it is")
    .argument("<run>", "a date (its newest run) or a run's id", parseRun)
    .addOption(noteOption())
    .addOption(jsonOption())
    .action(async (name: RunName, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { releaseDay } = await import("./release-day.ts")
      exit(await releaseDay(name, options, terminal))
    })

  program
    .command("pause")
    .description("ask for everything, or a backfill, to pause: shards at work are finished, and no other is claimed")
    .argument("[backfill]", "only this backfill")
    .option("--until <time>", "RFC 3339, such as 2026-11-22T18:00:00Z; without it until it is resumed")
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", pauseHelp)
    .action(async (backfillId: string | undefined, flags: SendFlags & { until?: string }, command: Command) => {
      const { until, ...others } = flags
      const options = readSendFlags(others, command)
      const { pauseAll } = await import("./pause-all.ts")
      exit(await pauseAll({ paused: true, until, backfillId }, options, terminal))
    })

  program
    .command("resume")
    .description("ask for everything, or a backfill, to go on")
    .argument("[backfill]", "only this backfill")
    .addOption(noteOption())
    .addOption(jsonOption())
    .action(async (backfillId: string | undefined, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { pauseAll } = await import("./pause-all.ts")
      exit(await pauseAll({ paused: false, backfillId }, options, terminal))
    })

  program
    .command("backfill")
    .description("ask for many dates to be computed, some at a time")
    .argument("<dates>", "FROM..TO, or one date", parseDates)
    .addOption(
      new Option("--which <which>", "of which dates")
        .choices(["missing", "incomplete", "drifted", "all"])
        .default("missing"),
    )
    .addOption(
      new Option("--order <order>", "which of them first")
        .choices(["newest-first", "oldest-first"])
        .default("newest-first"),
    )
    .addOption(
      new Option("--runs-at-once <runs>", "how many of its runs are at work at once")
        .default(2)
        .argParser((text) => parseWhole(text, 1, 100)),
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
      const { backfillDays } = await import("./backfill-days.ts")
      exit(await backfillDays({ ...dates, which, order, runsAtOnce }, { ...options, dryRun }, terminal))
    })

  program
    .command("rerun")
    .description("ask for shards of an incomplete run to be computed again")
    .argument("<run>", "a date (its newest run) or a run's id", parseRun)
    .option("--shards <indexes>", "such as 3,7; without it all that the verdict found wanting", parseShards)
    .option("--wait", "show progress until the new verdict; exit 0 only if it is complete")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", rerunHelp)
    .action(async (name: RunName, flags: SendFlags & { shards?: number[] }, command: Command) => {
      const options = readSendFlags(flags, command)
      const { rerunShards } = await import("./rerun-shards.ts")
      exit(await rerunShards(name, flags.shards ?? [], options, terminal))
    })
  return program
}

function addShopCommands(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  const shop = program
    .command("shop")
    .description("look at the shop's table, as SHOP_FILE declares it")
    .addHelpText("after", shopHelp)
  shop
    .command("ddl")
    .description("print the statements that make the table readable, for MySQL and MariaDB alike")
    .addOption(jsonOption())
    .action(async ({ json = false }: { json?: boolean }) => {
      const { printShopDdl } = await import("./inspect-shop.ts")
      exit(printShopDdl(json, terminal))
    })
  shop
    .command("check")
    .description("say what is missing or differs, and what a day's purchases add up to, before any run")
    .argument("<date>", "YYYY-MM-DD, or yesterday, in REVENUE_TIME_ZONE", parseDate)
    .addOption(jsonOption())
    .action(async (date: string, { json = false }: { json?: boolean }) => {
      const { checkShop } = await import("./inspect-shop.ts")
      exit(await checkShop(date, json, terminal))
    })
}

function readSendFlags({ wait = false, timeout, json = false, note }: SendFlags, command: Command) {
  if (timeout !== undefined && !wait) command.error("error: --timeout needs --wait")
  return { wait, timeoutSeconds: timeout, json, note }
}

function jsonOption(): Option {
  return new Option("--json", "print one JSON document instead of text")
}

function noteOption(): Option {
  return new Option("--note <text>", "why: kept with the run, in its verdict and in day-changes")
}

function timeoutOption(): Option {
  return new Option("--timeout <seconds>", "with --wait: how long to wait at most; the run goes on").argParser((text) =>
    parseWhole(text, 1, TIMEOUT_SECONDS_MAX),
  )
}

function parseDate(text: string): string {
  if (text === "yesterday" || isDate(text)) return text
  throw new InvalidArgumentError('It is neither of the form YYYY-MM-DD nor "yesterday".')
}

function parseExactDate(text: string): string {
  if (isDate(text)) return text
  throw new InvalidArgumentError("It is not of the form YYYY-MM-DD.")
}

function parseDates(text: string): { from: string; to: string } {
  if (text === "yesterday") return { from: text, to: text }
  const [from = "", to = from, ...more] = text.split("..")
  if (more.length === 0 && isDate(from) && isDate(to)) {
    if (from <= to) return { from, to }
    throw new InvalidArgumentError(`The first date, ${from}, is after the last, ${to}.`)
  }
  throw new InvalidArgumentError("It is neither yesterday nor of the form YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD.")
}

function parseVersion(text: string): number {
  return parseWhole(text, 1, 2 ** 31 - 1)
}

/** Ids of messages, by which backfills are known, are digits. */
function parseRunOrBackfill(text: string): RunName | { backfillId: string } {
  return /^\d+$/.test(text) ? { backfillId: text } : parseRun(text)
}

function parseRun(text: string): RunName {
  const name = parseRunName(text)
  if (name) return name
  throw new InvalidArgumentError("It is neither a date of the form YYYY-MM-DD nor a run's id.")
}

function parseShards(text: string): number[] {
  const parts = text.split(",")
  if (parts.length > SHARDS_NAMED_MAX) throw new InvalidArgumentError(`There are more than ${SHARDS_NAMED_MAX}.`)
  return parts.map((part) => parseWhole(part.trim(), 0, 2 ** 31 - 1))
}

function parseWhole(text: string, min: number, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`)
}
