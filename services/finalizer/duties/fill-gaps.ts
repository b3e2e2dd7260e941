import type { Topic } from "@google-cloud/pubsub"
import { formatJson } from "../../../schemas/json.ts"
import { RunRequestSchema } from "../../../schemas/messages/run_request_pb.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { addDays, DAYS_MAX, findYesterday } from "../../../shared/day/revenue-day.ts"
import { listMissingDays, markDayAsked } from "../../../shared/ledger/days/missing-days.ts"
import { countUnfinishedRuns } from "../../../shared/ledger/runs/find-runs.ts"
import { CAUSE_ATTRIBUTE } from "../../../shared/messages/topics.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { tryEach } from "./try-each.ts"

export interface GapSettings {
  REVENUE_TIME_ZONE: string
  /** Since when every day should be there; undefined: nobody asks for what is missing. */
  FIRST_DATE?: string | undefined
}

export interface GapContext {
  db: Database
  log: Log
  night: GapSettings
  /** The topic of run requests. */
  runRequests: Topic
  now(): Date
}

// Whoever asks for yesterday every night has done so by then.
const ASKED_BY_OTHERS_MS = 3 * 3_600_000
// A day that fails again and again is a person's.
const ASKED_MAX = 3
const ASKED_AGAIN_MS = 30 * 60_000
// The shop is not read by more than this for days that are late anyway. Runs of backfills do not count: the day that ended
// must not wait until all of them have.
const AT_ONCE_MAX = 2

/**
 * Asks for days since FIRST_DATE that readers do not see, yesterday first. Each try is one run however often it is asked
 * for: its request names the try, and the planner knows it.
 */
export async function fillGaps(context: GapContext): Promise<void> {
  const { db, log, night, runRequests } = context
  const { FIRST_DATE: firstDate, REVENUE_TIME_ZONE: timeZone } = night
  if (firstDate === undefined) return
  const yesterday = findYesterday(context.now(), timeZone)
  const isDue = context.now().getTime() > yesterday.toAt.getTime() + ASKED_BY_OTHERS_MS
  const to = isDue ? yesterday.date : addDays(yesterday.date, -1)
  const from = [firstDate, addDays(to, 1 - DAYS_MAX)].toSorted().at(-1) ?? firstDate
  if (from > to) return
  const limit = AT_ONCE_MAX - (await countUnfinishedRuns(db))
  if (limit <= 0) return
  const askedBefore = new Date(context.now().getTime() - ASKED_AGAIN_MS)
  await tryEach(await listMissingDays(db, from, to, { askedMax: ASKED_MAX, askedBefore, limit }), async (day) => {
    const cause = `${day.date} gap ${day.asked + 1}`
    await runRequests.publishMessage({
      data: Buffer.from(formatJson(RunRequestSchema, { date: day.date })),
      attributes: { [CAUSE_ATTRIBUTE]: cause, askedBy: "daybook", via: "gap" },
    })
    await markDayAsked(db, day)
    log.warn({ date: day.date, asked: day.asked + 1 }, "a missing day is asked for")
  })
}
