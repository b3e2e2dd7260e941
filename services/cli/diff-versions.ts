import { openShop } from "../../schemas/database/shop.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { formatChange, listChanges } from "../../shared/day/list-changes.ts"
import { type ChangeTally, createTally } from "../../shared/day/tally-changes.ts"
import { findPublishedDay } from "../../shared/ledger/days/published-days.ts"
import { listKeptVersions } from "../../shared/ledger/runs/find-runs.ts"
import { renderChanges } from "../../shared/terminal/render-changes.ts"
import { formatCount } from "../../shared/terminal/render-numbers.ts"
import { CommandError } from "./explain-error.ts"
import { readDiffConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

export interface DiffOptions {
  /** One line for every user who differs, instead of the twenty who differ most. */
  all: boolean
  json: boolean
}

/** Two versions of a date: what is compared, and with what. */
export interface VersionPair {
  before: number
  after: number
}

/** `daybook diff`: which users' revenue differs between two versions of a date. */
export async function diffVersions(
  date: string,
  given: VersionPair | undefined,
  options: DiffOptions,
  terminal: Terminal,
): Promise<number> {
  const config = readDiffConfig(terminal.env)
  const shop = openShop(config.SHOP_FILE)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 2 })
  const { db } = database
  try {
    const versions = await chooseVersions(db, date, given)
    const tally = createTally()
    for await (const change of listChanges(db, shop, date, versions)) {
      terminal.signal.throwIfAborted()
      tally.add(change)
      if (options.all) terminal.stdout.write(`${formatChange(change)}\n`)
    }
    if (!options.all) printTally(date, versions, tally, shop.layout.scale, options.json, terminal)
    return exitCodes.ok
  } catch (error) {
    if (terminal.signal.aborted) return exitCodes.interrupted
    throw error
  } finally {
    await database.close()
  }
}

/** Those asked for, or what readers see beside the newest older version; only versions whose rows are still there. */
async function chooseVersions(db: Database, date: string, given: VersionPair | undefined): Promise<VersionPair> {
  const [versions, shown] = await Promise.all([listKeptVersions(db, date), findPublishedDay(db, date)])
  const there = `of ${date} there ${versions.length === 1 ? "is version" : "are versions"} ${versions.join(", ")}`
  if (versions.length === 0) throw new CommandError(`There is no version of ${date} whose rows are still there.`)
  if (given) {
    const gone = [given.before, given.after].find((version) => !versions.includes(version))
    if (gone === undefined) return given
    throw new CommandError(`Version ${gone} of ${date} is not there, or not any more: ${there}.`)
  }
  const after = shown?.version ?? versions.at(-1) ?? 0
  const before = versions.findLast((version) => version < after)
  if (before === undefined) {
    throw new CommandError(`There is nothing to compare version ${after} of ${date} with: ${there}.`)
  }
  return { before, after }
}

function printTally(
  date: string,
  versions: VersionPair,
  tally: ChangeTally,
  scale: number,
  json: boolean,
  terminal: Terminal,
): void {
  const { added, changed, removed, largest } = tally
  const count = added + changed + removed
  const lines = [
    `${date}: version ${versions.after} compared with version ${versions.before}`,
    `  ${formatCount(added)} users added, ${formatCount(changed)} changed, ${formatCount(removed)} removed`,
    ...(count === 0n ? [] : renderChanges(largest, scale).map((line) => `  ${line}`)),
    ...(count > BigInt(largest.length) ? ["  --all prints every one of them"] : []),
  ]
  printResult(terminal, json, { date, ...versions, added, changed, removed, largest }, lines)
}
