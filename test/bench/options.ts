import { availableParallelism } from "node:os"
import { Command, Option } from "commander"
import { chooseDatabase, count, type DatabaseChoice, databaseOption } from "../../services/local/command-options.ts"

/** What can be measured, in the order in which it is. */
export const sectionNames = [
  "ways",
  "starts",
  "rows",
  "declared",
  "memory",
  "orchestration",
  "balance",
  "growth",
] as const
export type Section = (typeof sectionNames)[number]

export interface BenchOptions {
  /** Of the day. */
  purchases: number
  users: number
  repeat: number
  /** How many run at once. */
  tasks: number
  shardPurchases?: number | undefined
  /** How many users each task of the query-per-user way does before its time is scaled to all. */
  sampleUsers: number
  /** The numbers of nearly empty shards whose orchestration is measured. */
  shards: number[]
  /** Days of history with which rows read are counted. */
  history: number[]
  sections: Section[]
  json: string | undefined
  database: DatabaseChoice
}

type Flags = Omit<BenchOptions, "users" | "sections" | "json" | "database"> & {
  database?: DatabaseChoice
  users?: number
  only?: Section[]
  json?: string
}

const PURCHASES_MAX = 50_000_000
// Two tasks at least, so that what one waits for the other for is seen.
const TASKS_DEFAULT = Math.max(2, availableParallelism())

/** Reads the command line; throws a CommanderError when it has printed help or what is wrong. */
export function readBenchOptions(args: string[], env: NodeJS.ProcessEnv): BenchOptions {
  const { users, only, json, database, ...flags } = new Command("bench")
    .usage("[options]")
    .description("Daybook beside one SQL statement and beside plain Cloud Run Jobs, on one database and one data set.")
    .exitOverride()
    .addOption(count("--purchases <count>", "purchases of the day", 1_000_000, 1, PURCHASES_MAX))
    .option("--users <count>", "users of the shop; by default as many as purchases", Number)
    .addOption(count("--repeat <count>", "how often each way is measured, after one warm-up", 5, 1, 100))
    .addOption(count("--tasks <count>", "tasks that run at once", TASKS_DEFAULT, 1, 100))
    .addOption(
      count(
        "--shard-purchases <count>",
        "about how many purchases a shard holds; by default the planner's own choice",
        undefined,
        1,
        PURCHASES_MAX,
      ),
    )
    .addOption(count("--sample-users <count>", "users that each query-per-user task really does", 5_000, 1, 10_000_000))
    .addOption(numbers("--shards <counts>", "numbers of nearly empty shards to orchestrate", [10, 100, 1_000]))
    .addOption(numbers("--history <days>", "days of history with which rows read are counted", [1, 10]))
    .addOption(new Option("--only <sections...>", "measure only these").choices(sectionNames as unknown as string[]))
    .option("--json <file>", "write all figures to this file, too")
    .addOption(databaseOption())
    .addHelpText("after", help)
    .parse(args, { from: "user" })
    .opts<Flags>()
  return {
    ...flags,
    users: users ?? flags.purchases,
    sections: only ?? [...sectionNames],
    json,
    database: chooseDatabase(database, env),
  }
}

function numbers(flags: string, description: string, value: number[]): Option {
  return new Option(flags, `${description}, separated by commas`)
    .default(value, value.join(","))
    .argParser((text) => text.split(",").map(Number))
}

const help = `
A private MariaDB or Oracle MySQL is started; with DATABASE_URL set, databases of its own are made on that server and dropped again.

Sections:
  ways           one statement, plain Cloud Run Jobs and Daybook, interleaved, with Daybook's phases
  starts         process start to first claim (task) and to the first answer (planner)
  rows           rows read per purchase of the day, in planning, computing and verifying
  declared       rows read and time of days that a SHOP_FILE declares, over the plain table's
  memory         peak memory of each process as the shard grows 1x, 10x, 100x
  orchestration  cost of a shard that holds next to nothing
  balance        the longest task's work over the mean, under skewed users
  growth         the planner's and the finalizer's own cost at sizes no one machine holds

Examples:
  npm run bench
  npm run bench -- --only ways --purchases 10000000 --repeat 3
  npm run bench -- --only orchestration --shards 10,100,1000,10000`
