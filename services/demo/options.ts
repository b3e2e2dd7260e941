import { availableParallelism } from "node:os"
import { Command, Option } from "commander"
import { chooseDatabase, count, type DatabaseChoice, databaseOption, parseDate } from "../local/command-options.ts"
import { killsMax, RETRIES_MAX } from "./limits.ts"
import { listRealShops, REAL_SHOP_DATE, REAL_SHOP_PURCHASES, REAL_SHOP_SHARD_PURCHASES } from "./real-shops.ts"

const DAY_MS = 86_400_000
const USERS_MAX = 10_000_000
const PURCHASES_MAX = 100_000_000
const DAYS_MAX = 1_000
const TASKS_MAX = 1_000
const TASKS_DEFAULT = Math.max(2, availableParallelism())

export interface DemoOptions {
  users: number
  /** Of the day. */
  purchases: number
  days: number
  date: string
  /** How many run at once. */
  tasks: number
  shardPurchases: number
  kill: number
  keep: boolean
  /** The local cloud stays up afterwards, with the page of the days. */
  keepRunning: boolean
  /** One of test/shops, instead of a shop of `users` and `purchases`. */
  shop: string | undefined
  /** Its tables get an index of the day, instead of being read as they are. */
  index: boolean
  database: DatabaseChoice
}

type Flags = Omit<DemoOptions, "keep" | "keepRunning" | "database" | "shop" | "index"> & {
  keep?: boolean
  keepRunning?: boolean
  shop?: string
  index?: boolean
  database?: DatabaseChoice
}

/** Reads the command line; throws a CommanderError when it has printed help or what is wrong. */
export function readDemoOptions(args: string[], env: NodeJS.ProcessEnv): DemoOptions {
  const yesterday = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10)
  const command = new Command("demo")
    .usage("[options]")
    .description("Daybook on one machine: a local cloud, a shop, one date computed by real processes, and the verdict.")
    .exitOverride()
    .addOption(count("--users <count>", "users of the shop", 100_000, 1, USERS_MAX))
    .addOption(count("--purchases <count>", "purchases of the day", 250_000, 1, PURCHASES_MAX))
    .addOption(count("--days <count>", "days of purchases in the shop, the last of which is computed", 3, 1, DAYS_MAX))
    .option("--date <date>", "the date to compute, YYYY-MM-DD in UTC", parseDate, yesterday)
    .addOption(count("--tasks <count>", "tasks that run at once", TASKS_DEFAULT, 1, TASKS_MAX))
    .addOption(count("--shard-purchases <count>", "about how many purchases a shard holds", 10_000, 1, PURCHASES_MAX))
    .addOption(count("--kill <count>", "tasks to kill (SIGKILL) at random moments while they work", 0, 0, 10_000))
    .option("--keep", "keep the folder with plan, manifests, verdict and logs")
    .option("--keep-running", "let the local cloud run afterwards, with the page of the days, until Ctrl-C")
    .addOption(
      new Option("--shop <name>", "a shop with the tables of real software, read as they are")
        .choices(listRealShops())
        .conflicts(["users", "purchases", "days", "date"]),
    )
    .option("--index", "with --shop: add the columns and the index of the day, which pay for very big days")
    .addOption(databaseOption())
    .addHelpText("after", help)
    .parse(args, { from: "user" })
  const { keep = false, keepRunning = false, shop, index = false, database, ...given } = command.opts<Flags>()
  const isShardSizeGiven = command.getOptionValueSource("shardPurchases") !== "default"
  const flags = {
    ...given,
    ...(shop === undefined ? {} : { date: REAL_SHOP_DATE, purchases: REAL_SHOP_PURCHASES }),
    ...(shop === undefined || isShardSizeGiven ? {} : { shardPurchases: REAL_SHOP_SHARD_PURCHASES }),
  }
  if (index && shop === undefined)
    command.error("error: --index needs --shop: without it the shop has the index anyway")
  const limit = killsMax(flags)
  if (flags.kill > limit.kills) command.error(`error: --kill ${flags.kill} cannot work: ${limit.reason}`)
  return { ...flags, keep, keepRunning, shop, index, database: chooseDatabase(database, env) }
}

const help = `
A private MariaDB or Oracle MySQL is started, whichever is found; where there is neither, MariaDB is installed on Debian
or Ubuntu as root, and MySQL, where it is asked for, fetched into a cache folder on Debian. With DATABASE_URL set
(mysql://user:password@host:port/database), a database of its own is made on that server instead, and dropped
afterwards; nothing else there is touched. Whatever happens, nothing is left running, and without --keep no file.

A killed task is tried again by Cloud Run at most ${RETRIES_MAX} times, and its next attempt takes up the shard it had.

Exit codes: 0 the verdict is complete, 1 it is not or the demo failed, 2 the command line cannot be understood,
130 interrupted. With --keep-running, Ctrl-C after the verdict is no interruption.

Examples:
  npm run demo
  npm run demo -- --purchases 1000000 --shard-purchases 50000
  npm run demo -- --kill 5
  npm run demo -- --shop woocommerce
  npm run demo -- --shop woocommerce --index
  npm run demo -- --database mysql
  npm run demo -- --keep
  npm run demo -- --days 30 --keep-running`
