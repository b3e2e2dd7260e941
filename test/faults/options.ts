import { Command, Option } from "commander"
import { count } from "../../services/local/command-options.ts"
import { type TestServers, testServersOption } from "../run-vitest.ts"

export interface FaultOptions {
  seed: number
  rounds: number
  every: number
  points: Points
  load: boolean
  servers: TestServers
  /** Words in the names of test files; all files without any. */
  files: string[]
}

const points = ["crashes", "refusals", "both"] as const

/** What happens at the calls of a run: the caller dies, a statement of its transactions is refused, or each in turn. */
type Points = (typeof points)[number]

interface Flags {
  seed?: number
  rounds?: number
  every: number
  points: Points
  load?: true
  database?: TestServers
}

const SEEDS = 1_000_000
/** Of three dates each: sixty runs in about a minute and a half. */
const ROUNDS = 20

/** Reads the command line; throws a CommanderError when it has printed help or what is wrong. */
export function readFaultOptions(args: string[], random = Math.random): FaultOptions {
  const command = new Command("test:faults")
    .usage("[options] [words in the names of test files]")
    .description(
      "Repeats small runs with everything going wrong that can, and counts what came of it. Exits 1 if anything did not come right.",
    )
    .exitOverride()
    .argument("[words...]", "only test files with one of these in their names, such as crash-points or soak")
    .addOption(optional("--seed <number>", "makes the same random decisions again; one round of soak unless --rounds"))
    .addOption(optional("--rounds <number>", `rounds of the soak, of three dates at once (default: ${ROUNDS})`))
    .addOption(count("--every <number>", "every n-th crash point; 0 tries those too that are like others", 1, 0, 1_000))
    .addOption(
      new Option("--points <kind>", "at the crash points, callers are killed, or refused a statement")
        .choices(points)
        .default("both"),
    )
    .addOption(testServersOption())
    .option("--load", "measures the load, 10,000 and 50,000 shards and 50 dates at once, instead of the faults")
    .addHelpText(
      "after",
      `
Examples
  npm run test:faults                              everything
  npm run test:faults -- --every 8 crash-points    an eighth of them, another one each time
  npm run test:faults -- --points refusals crash-points
                                                   every statement of every transaction is refused
  npm run test:faults -- --rounds 200 soak         600 runs
  npm run test:faults -- --seed 4711 soak          the round of that seed again
  npm run test:faults -- --database both           everything, on each server
  npm run test:faults -- --load`,
    )
    .parse(args, { from: "user" })
  const { seed, rounds, every, points: tried, load, database } = command.opts<Flags>()
  return {
    seed: seed ?? Math.floor(random() * SEEDS),
    // One seed that is asked for is one round, unless more are.
    rounds: rounds ?? (seed === undefined ? ROUNDS : 1),
    every,
    points: tried,
    load: load === true,
    servers: database,
    files: load ? ["load"] : command.args,
  }
}

/** A whole number that says something by not being given. */
function optional(flags: string, description: string): Option {
  return count(flags, description, 0, 0, SEEDS).default(undefined)
}
