import { Command, CommanderError, InvalidArgumentError, Option } from "commander"
import packageJson from "../../package.json" with { type: "json" }
import type { BackfillKind } from "../../schemas/database/ledger.ts"
import { explainError } from "./explain-error.ts"
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

const generalHelp = `
Exit codes:
  0    done; with --wait: the verdict is complete
  1    it did not work; with --wait: the verdict is incomplete, the request was rejected, or the time is over
  2    the command line cannot be understood
  130  interrupted; a run that was asked for goes on

Environment (npm run local prints it for a local cloud):
  GOOGLE_CLOUD_PROJECT    start, rerun, audit: the project of the topics
  SHOP_FILE               shop, diff: the declaration of the shop's tables
  DATABASE_URL            status, diff, shop check, retention, --wait: mysql://user:password@host:port/database
  BUCKET                  status, retention, --wait: the bucket of plans, manifests and verdicts
  PUBSUB_EMULATOR_HOST    host:port of a local Pub/Sub, instead of Google's
  STORAGE_EMULATOR_HOST   http://host:port of a local Cloud Storage, instead of Google's
  LOCAL_FOLDER            the data folder of a local cloud, to say where its files are

With --json, standard output holds one JSON document and nothing else: 64-bit numbers are strings, times are RFC 3339
in UTC, and an error is {"error": "…"}. Progress and errors go to standard error.

Examples:
  npm run daybook -- start yesterday --wait
  npm run daybook -- status 2026-11-22
  npm run daybook -- rerun 2026-11-22 --shards 3,7 --wait`

const startHelp = `
Examples:
  npm run daybook -- start 2026-11-22
  npm run daybook -- start yesterday --wait --timeout 600
  npm run daybook -- start 2026-11-22 --wait --json`

const backfillHelp = `
The dates are those that it finds when it is asked for, and stay so. One that fails does not stop the others. The daily run
goes before all of them; "status" shows how far it is, and "cancel" gives it up.

Examples:
  npm run daybook -- backfill 2026-01-01..2026-01-31 --dry-run
  npm run daybook -- backfill 2026-01-01..2026-01-31 --wait
  npm run daybook -- backfill 2026-01-01..2026-01-31 --which all --note "new exchange rates"`

const pauseHelp = `
It holds whatever is restarted meanwhile; "status" says since when, by whom, and how many tasks still have a shard. Requests
are taken, and their runs wait.

Examples:
  npm run daybook -- pause --until 2026-11-22T18:00:00Z --note "the sale"
  npm run daybook -- resume`

const cancelHelp = `
Nothing is written under the run's version any more, its execution is cancelled, and readers see what they saw. A run that
is being verified, or has its verdict, is not cancelled: the request is rejected.

Examples:
  npm run daybook -- cancel 2026-11-22 --note "the shop is being restored"
  npm run daybook -- status 2026-11-22`

const statusHelp = `
Examples:
  npm run daybook -- status
  npm run daybook -- status --from 2026-01-01 --to 2026-01-31
  npm run daybook -- status --runs --limit 5
  npm run daybook -- status 2026-11-22 --watch
  npm run daybook -- status 2026-11-22-1234567890 --json`

const auditHelp = `
Only what readers see is audited: dates without a complete verdict are passed over. Nothing is changed but what is known
of the days; a day of the last REPAIR_DAYS that has drifted is started anew by itself.

Examples:
  npm run daybook -- audit 2026-11-22 --wait
  npm run daybook -- audit 2026-11-01..2026-11-22`

const diffHelp = `
Exits 0 whether or not anything differs. The rows of the newest KEEP_VERSIONS versions of a date are there.

Examples:
  npm run daybook -- diff 2026-11-22
  npm run daybook -- diff 2026-11-22 1 3
  npm run -s daybook -- diff 2026-11-22 --all | jq -r .userId`

const shopHelp = `
SHOP_FILE is a file of YAML, the same for planner, tasks, finalizer and npm run migrate, that says what a purchase is:

  table: wp_wc_orders
  user:   {column: customer_id, guest: 0}           # 0, besides NULL, is a guest
  amount: {expression: total_amount, scale: 2}      # exact cents: an amount with more digits fails its user's shard
  time:   {column: date_created_gmt, kind: utc}     # utc, timestamp, local (in REVENUE_TIME_ZONE), epoch-seconds, epoch-ms
  counts: "status IN ('wc-processing','wc-completed') AND currency = 'EUR'"

and, where they are needed:

  userType: char(36) collate ascii_bin              # bigint if not said; bigint unsigned, varchar, binary, varbinary
  currency: currency                                # part of Revenue's key, so that no two are added
  measures: {tax: {expression: tax_amount, scale: 2}}
  sources: [{table: …}, {table: refunds, purchase: false, amount: {expression: "-amount", scale: 2}, …}]

schemas/database/README.md explains all of it, and test/shops has the declarations of twelve shops.

Examples:
  SHOP_FILE=shop.yaml npm run -s daybook -- shop ddl
  SHOP_FILE=shop.yaml npm run daybook -- shop check yesterday`

const retentionHelp = `
Ledger rows and documents of runs decided more than RETENTION_DAYS ago (400; 0 keeps them for ever) are deleted, if their
Revenue rows are gone already. Never the run that readers see, the newest of a date, or the newest audit of a date. The
finalizer's sweep does the same by itself.

Examples:
  npm run daybook -- retention --dry-run
  RETENTION_DAYS=90 npm run daybook -- retention --dry-run --json`

const rerunHelp = `
Examples:
  npm run daybook -- rerun 2026-11-22
  npm run daybook -- rerun 2026-11-22-1234567890 --shards 3,7 --wait`
