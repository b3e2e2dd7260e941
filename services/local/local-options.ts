import { availableParallelism } from "node:os"
import { Command, InvalidArgumentError, Option } from "commander"
import { chooseDatabase, count, type DatabaseChoice, databaseOption, parseDate } from "./command-options.ts"

export interface LocalOptions {
  data: string
  /** Undefined: everything, with planner and finalizer. */
  only: ("pubsub" | "storage" | "run")[] | undefined
  portPubsub: number
  portStorage: number
  portRun: number
  portDatabase: number
  portPage: number
  host: string
  /** What further images run, by name. */
  image: Record<string, string>
  /** Values by name, for the environment of jobs. */
  secret: Record<string, string>
  database: DatabaseChoice
  tasks: number
  set: Record<string, string>
  shop: boolean
  users: number
  /** Of the date. */
  purchases: number
  days: number
  date: string | undefined
}

type Defaulted = Omit<LocalOptions, "only" | "database" | "date" | "set" | "image" | "secret">

const emulators = ["pubsub", "storage", "run"] as const

/** Reads the command line; throws a CommanderError when it has printed help or what is wrong. */
export function readLocalOptions(args: string[]): LocalOptions {
  const command = new Command("local")
    .usage("[options]")
    .description(
      "A local cloud that stays up: Pub/Sub, Cloud Storage, Cloud Run Jobs, MariaDB or Oracle MySQL, planner and finalizer.",
    )
    .exitOverride()
    .option("--data <folder>", "where bucket, database and logs are kept from run to run", ".data")
    .option("--only <servers>", "some of pubsub,storage,run, without database and services", parseOnly)
    .option("--host <address>", "with --only: the address to listen on, such as 0.0.0.0 in a container", "127.0.0.1")
    .option(
      "--image <NAME=command>",
      "with --only run: what the tasks of jobs with this image run; repeatable",
      parsePair,
    )
    .option("--secret <NAME=value>", "with --only run: a secret for variables of jobs; repeatable", parsePair)
    .addOption(port("pubsub", "Pub/Sub", 8085))
    .addOption(port("storage", "Cloud Storage", 4443))
    .addOption(port("run", "Cloud Run", 8086))
    .addOption(port("database", "the database", 3307))
    .addOption(port("page", "the page of the days", 8088))
    .addOption(databaseOption())
    .addOption(count("--tasks <count>", "tasks of an execution that run at once", availableParallelism(), 1, 1_000))
    .option("--set <NAME=value>", "a setting of services and tasks, such as SHARD_PURCHASES; repeatable", parseSetting)
    .option("--no-shop", "make no shop in an empty database")
    .addOption(count("--users <count>", "users of the shop", 100_000, 1, 10_000_000))
    .addOption(count("--purchases <count>", "purchases of its last day", 250_000, 1, 50_000_000))
    .addOption(count("--days <count>", "days of purchases", 3, 1, 1_000))
    .option("--date <date>", "the last day, YYYY-MM-DD in UTC (default: yesterday)", parseDate)
    .addHelpText("after", help)
    .parse(args, { from: "user" })
  const {
    only,
    database,
    date,
    set = {},
    image = {},
    secret = {},
    ...rest
  } = command.opts<Partial<LocalOptions> & Required<Defaulted>>()
  if (only === undefined && (rest.host !== "127.0.0.1" || Object.keys({ ...image, ...secret }).length > 0)) {
    command.error(
      "error: --host, --image and --secret are for --only: planner, finalizer and page are for this machine alone",
    )
  }
  return { ...rest, only, image, secret, database: chooseDatabase(database, process.env), date, set }
}

function port(server: string, what: string, value: number): Option {
  return count(`--port-${server} <port>`, `port of ${what}, 0 for a free one`, value, 0, 65_535)
}

function parseOnly(text: string): LocalOptions["only"] {
  const names = text.split(",").map((name) => name.trim())
  const known = emulators.filter((name) => names.includes(name))
  if (known.length === new Set(names).size) return known
  throw new InvalidArgumentError(`It is not a list of ${emulators.join(", ")}.`)
}

function parsePair(text: string, pairs: Record<string, string> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError("It is not of the form NAME=value.")
  return { ...pairs, [name]: value }
}

function parseSetting(text: string, settings: Record<string, string> = {}): Record<string, string> {
  const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.+)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError("It is not of the form NAME=value.")
  return { ...settings, [name]: value }
}

const help = `
When it is up, standard output has the lines to paste into another shell, where then

  npm run daybook -- start yesterday --wait

runs on it, and so does any client of Pub/Sub or Cloud Storage; everything else goes to standard error. It stays up
until Ctrl-C. Bucket, messages, database and logs stay in the folder, and are there again the next time.

Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 it could not start, 2 the command line cannot be understood.

Examples:
  npm run local
  npm run local -- --purchases 1000000 --set SHARD_PURCHASES=10000 --set REVENUE_TIME_ZONE=Europe/Berlin
  npm run local -- --only pubsub,storage --port-pubsub 0 --port-storage 0
  npm run local -- --only run --image report="python3 report.py"`
