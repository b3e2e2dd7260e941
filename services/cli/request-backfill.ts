import { setTimeout as wait } from "node:timers/promises"
import { openShop, type Shop } from "../../schemas/database/shop.ts"
import { type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { estimateDay, SHARD_PURCHASES_MIN } from "../../shared/day/estimate-day.ts"
import { resolveRevenueDay } from "../../shared/day/revenue-day.ts"
import {
  type Backfill,
  countBackfillDays,
  findBackfill,
  listBackfillDays,
  listDatesToFill,
} from "../../shared/ledger/backfills/backfills.ts"
import { estimateTime, findPurchasesPerShard, listRunTimes } from "../../shared/ledger/runs/run-times.ts"
import type { PersonRequest } from "../../shared/messages/person-requests.ts"
import { topics } from "../../shared/messages/topics.ts"
import { formatCount, formatDuration, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import type { SendOptions } from "./await-verdict.ts"
import { describeBackfill } from "./describe-backfill.ts"
import { createRejectionReader } from "./read-rejection.ts"
import { publish } from "./send-request.ts"
import { readShopConfig, readWatchConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

type BackfillRequest = Extract<PersonRequest, { do: "backfill" }>

const POLL_MS = 500
const FAILED_SHOWN_MAX = 20

/** `daybook backfill`: asks for many dates, or says what that would be. */
export async function requestBackfill(
  request: BackfillRequest,
  options: SendOptions & { dryRun: boolean },
  terminal: Terminal,
): Promise<number> {
  if (options.dryRun) return showDryRun(request, options.json, terminal)
  const what = `${request.which} days from ${request.from} to ${request.to}`
  if (!options.wait) {
    const { messageId: backfillId } = await publish(request, options.note, terminal.env)
    printResult(terminal, options.json, { backfillId }, [
      `Asked for ${what}: backfill ${backfillId}.`,
      "To follow it: npm run daybook -- status",
    ])
    return exitCodes.ok
  }
  const config = readWatchConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  try {
    // Before publishing: a request that nobody can follow is not what was asked for.
    await findBackfill(database.db, "")
    const { messageId: backfillId } = await publish(request, options.note, terminal.env)
    terminal.stderr.write(`Asked for ${what}: backfill ${backfillId}.\n`)
    const readRejection = createRejectionReader(config, topics.backfillRequests, backfillId)
    return await follow(database.db, backfillId, readRejection, options, terminal)
  } finally {
    await database.close()
  }
}

async function follow(
  db: Database,
  backfillId: string,
  readRejection: () => Promise<string | undefined>,
  { json, timeoutSeconds }: SendOptions,
  terminal: Terminal,
): Promise<number> {
  const deadline = timeoutSeconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutSeconds * 1_000
  let shown = ""
  for (;;) {
    const backfill = await findBackfill(db, backfillId)
    if (!backfill) {
      const rejection = await readRejection()
      if (rejection !== undefined) {
        const { reason } = JSON.parse(rejection) as { reason: string }
        printResult(terminal, json, { backfillId, verdict: "rejected", reason }, [`rejected: ${reason}`])
        return exitCodes.failed
      }
    } else {
      const line = await describeBackfill(db, backfill)
      if (line !== shown) terminal.stderr.write(`${line}\n`)
      shown = line
      if (backfill.state === "ended" || backfill.state === "cancelled") return printEnd(db, backfill, json, terminal)
    }
    if (terminal.signal.aborted) return exitCodes.interrupted
    if (Date.now() > deadline) {
      printResult(terminal, json, { backfillId, state: "at-work" }, ["It goes on: npm run daybook -- status"])
      return exitCodes.failed
    }
    await wait(POLL_MS, undefined, { signal: terminal.signal }).catch(() => undefined)
  }
}

async function printEnd(db: Database, backfill: Backfill, json: boolean, terminal: Terminal): Promise<number> {
  const { backfillId, state } = backfill
  const counts = await countBackfillDays(db, backfillId)
  const failed = await listBackfillDays(db, backfillId, "failed", FAILED_SHOWN_MAX)
  const days = failed.map(({ revenueDate, reason }) => ({ date: revenueDate, reason: reason ?? "" }))
  printResult(terminal, json, { backfillId, state, ...counts, failedDays: days }, [
    `${state}: ${counts.done} days done, ${counts.failed} failed`,
    ...days.map(({ date, reason }) => `  ${date}  ${reason}`),
  ])
  return state === "ended" && counts.failed === 0 ? exitCodes.ok : exitCodes.failed
}

/** What would be asked for. Its length is told from what runs of this ledger took: between the shorter and longer half. */
async function showDryRun(request: BackfillRequest, json: boolean, terminal: Terminal): Promise<number> {
  const config = readShopConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  const shopDatabase = await openSource(config, database, 1)
  try {
    const { runsAtOnce } = request
    const { dates, known } = await listDatesToFill(database.db, request)
    const ordered = request.order === "newest-first" ? dates.toReversed() : dates
    const perShard = (await findPurchasesPerShard(database.db)) ?? SHARD_PURCHASES_MIN
    const purchases = await estimateDays(shopDatabase.db, openShop(config.SHOP_FILE), ordered, config)
    const days = ordered.map((date, n) => {
      const estimate = purchases[n]
      const shards = estimate === undefined ? undefined : Math.max(1, Math.ceil(estimate / perShard))
      return { date, state: known.get(date)?.state ?? "missing", purchases: estimate ?? null, shards: shards ?? null }
    })
    const times = await listRunTimes(database.db)
    const time = estimateTime(times, { runs: dates.length, atOnce: runsAtOnce })
    printResult(terminal, json, { days, runsAtOnce, estimate: time ?? null }, [
      ...renderTable(
        [
          { title: "DATE" },
          { title: "STATE" },
          { title: "PURCHASES", align: "right" },
          { title: "SHARDS", align: "right" },
        ],
        days.map((day) => [day.date, day.state, formatAbout(day.purchases), formatAbout(day.shards)]),
      ),
      `${formatNumberOf(dates.length, "day")}, ${formatNumberOf(runsAtOnce, "run")} at once${
        time ? `: ${formatDuration(time.fromMs)} to ${formatDuration(time.toMs)}, by the newest runs` : ""
      }`,
    ])
    return exitCodes.ok
  } finally {
    await shopDatabase.close()
    await database.close()
  }
}

const formatAbout = (estimate: number | null) => (estimate === null ? "?" : `~${formatCount(estimate)}`)

/** How many purchases each of the dates has, as EXPLAIN has it; undefined where it cannot know. */
async function estimateDays(
  db: Database,
  shop: Shop,
  dates: string[],
  config: { REVENUE_TIME_ZONE: string; SCAN_ROWS_MAX: number },
): Promise<(number | undefined)[]> {
  const now = new Date()
  const timeZone = config.REVENUE_TIME_ZONE
  const days = dates.map((date) => ({ ...resolveRevenueDay(date, timeZone, now, now), timeZone, shop }))
  const [first] = days
  if (!first) return []
  const read = await chooseRead(db, first, { scanRowsMax: config.SCAN_ROWS_MAX })
  const estimates: (number | undefined)[] = []
  for (const day of days) estimates.push(await estimateDay(db, { ...day, ...read }))
  return estimates
}
