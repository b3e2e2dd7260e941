import type { Database } from "../../shared/database/open-database.ts"
import { SHARD_PURCHASES_MIN } from "../../shared/day/estimate-day.ts"
import { checkDate, listDates } from "../../shared/day/revenue-day.ts"
import { PermanentError } from "../../shared/errors.ts"
import { BACKFILL_DAYS_MAX, countBackfillDays, findBackfill, listDatesToFill } from "../../shared/ledger/backfills.ts"
import { findRun } from "../../shared/ledger/find-runs.ts"
import { type Day, listDays } from "../../shared/ledger/list-days.ts"
import { countTasksAtWork } from "../../shared/ledger/pause.ts"
import { readRunProgress } from "../../shared/ledger/run-progress.ts"
import { estimateTime, findPurchasesPerShard, listRunTimes } from "../../shared/ledger/run-times.ts"
import { formatCount, formatDuration, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import type { Action } from "./actions.ts"
import { formatDate } from "./html/format.ts"

/** What an action would do, before anybody does it. */
export interface Preview {
  action: Action
  title: string
  /** Each a sentence. */
  effects: string[]
  /** Dates that it is about, each with how it is now; the first ones. */
  dates: { date: string; reason: string }[]
  /** How many dates there are in all. */
  dateCount: number
  /** What the button says. */
  button: string
}

const DATES_SHOWN_MAX = 14

export async function previewAction(db: Database, action: Action): Promise<Preview> {
  if (action.do === "start") return previewDates(db, action, [checkDate(action.date)], 1)
  if (action.do === "backfill") return previewBackfilling(db, action)
  if ("run" in action) return previewRun(db, action)
  if ("backfill" in action) return previewBackfill(db, action)
  const isPause = action.do === "pause"
  const tasks = await countTasksAtWork(db)
  return {
    ...nothing(action),
    title: isPause ? "Pause everything" : "Let everything go on",
    effects: isPause
      ? [
          `${formatNumberOf(tasks, "task")} at work: each finishes its shard and claims no other.`,
          "Runs that are asked for meanwhile wait. It holds until somebody lets everything go on.",
        ]
      : ["Shards that are left are brought to new tasks, and runs that wait have their turn."],
    button: isPause ? "Pause" : "Go on",
  }
}

async function previewBackfilling(db: Database, action: Extract<Action, { do: "backfill" }>): Promise<Preview> {
  const { from, to, runsAtOnce } = action
  if (checkDate(to) < checkDate(from)) throw new PermanentError(`the last date ${to} is before the first, ${from}`)
  if (listDates(from, to).length > BACKFILL_DAYS_MAX) {
    throw new PermanentError(`${from} to ${to} is more than ${BACKFILL_DAYS_MAX} days`)
  }
  const { dates, known } = await listDatesToFill(db, action)
  return previewDates(db, action, dates, runsAtOnce, known)
}

const nothing = (action: Action) => ({ action, dates: [], dateCount: 0 })

async function previewDates(
  db: Database,
  action: Action,
  dates: string[],
  atOnce: number,
  known?: Map<string, Day>,
): Promise<Preview> {
  const [first = ""] = dates
  const days = known ?? new Map((await listDays(db, first, dates.at(-1) ?? first)).map((day) => [day.date, day]))
  const [times, perShard = SHARD_PURCHASES_MIN] = await Promise.all([listRunTimes(db), findPurchasesPerShard(db)])
  const time = estimateTime(times, { runs: dates.length, atOnce })
  // What readers see of the days, or of others like them, is the best there is to tell how big they are.
  const sizes = [...days.values()].flatMap(({ shown }) => (shown?.totals ? [Number(shown.totals.purchases)] : []))
  const mean = sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  const shards = mean === undefined ? undefined : Math.max(1, Math.ceil(mean / perShard)) * dates.length
  return {
    action,
    title: action.do === "start" ? `Compute ${formatDate(first)}` : `Compute ${formatNumberOf(dates.length, "day")}`,
    effects: [
      dates.length === 0
        ? "No day is of that kind: there is nothing to do."
        : "A new version of each is computed and proven; readers keep what they see until it is whole.",
      ...(shards === undefined || dates.length === 0
        ? []
        : [`About ${formatNumberOf(shards, "shard")}, by what readers see of these days now.`]),
      ...(time && dates.length > 0
        ? [`${formatDuration(time.fromMs)} to ${formatDuration(time.toMs)}, by what the newest runs took.`]
        : []),
    ],
    dates: dates.slice(0, DATES_SHOWN_MAX).map((date) => ({ date, reason: describeNow(days.get(date)) })),
    dateCount: dates.length,
    button: dates.length === 1 ? "Compute it" : `Compute ${formatCount(dates.length)} days`,
  }
}

function describeNow(day: Day | undefined): string {
  if (!day) return "missing"
  if (!day.shown) return day.state
  const shown = `version ${day.shown.version} is shown`
  return day.state === "shown" ? shown : `${day.state}, ${shown}`
}

async function previewRun(db: Database, action: Extract<Action, { run: string }>): Promise<Preview> {
  const run = await findRun(db, action.run)
  const progress = run && (await readRunProgress(db, run.runId))
  if (!run || !progress) throw new PermanentError(`there is no run ${action.run}`)
  const { done } = progress.shards
  const left = (run.shardCount ?? 0) - done
  const name = `version ${run.version} of ${formatDate(run.revenueDate)}`
  const said = {
    rerun: {
      title: `Rerun ${name}`,
      effects: [
        `All that its verdict found wanting is computed again: about ${formatNumberOf(Math.max(left, 0), "shard")} of ${formatCount(run.shardCount ?? 0)} are not done.`,
        "The verdict is made anew over the whole day.",
      ],
      button: "Rerun it",
    },
    release: {
      title: `Show ${name} as it is`,
      effects: ["A check holds it. Readers will see it as it was computed, and the release is kept with your note."],
      button: "Show it",
    },
    cancel: {
      title: `Cancel ${name}`,
      effects: [
        `${formatNumberOf(done, "shard")} of ${run.shardCount === null ? "?" : formatCount(run.shardCount)} are done, and will be deleted.`,
        "Its tasks end, its verdict is cancelled, and the date is free for another run. Readers keep what they see.",
      ],
      button: "Cancel it",
    },
  }[action.do]
  return { action, ...said, dates: [{ date: run.revenueDate, reason: run.state }], dateCount: 1 }
}

async function previewBackfill(db: Database, action: Extract<Action, { backfill: string }>): Promise<Preview> {
  const backfill = await findBackfill(db, action.backfill)
  if (!backfill) throw new PermanentError(`there is no backfill ${action.backfill}`)
  const { waiting, asked, done } = await countBackfillDays(db, backfill.backfillId)
  const dates = `the backfill from ${backfill.fromDate} to ${backfill.toDate}`
  const said = {
    "pause-backfill": {
      title: `Pause ${dates}`,
      effects: [`${formatNumberOf(asked, "day")} at work are finished; ${formatCount(waiting)} wait until it goes on.`],
      button: "Pause it",
    },
    "resume-backfill": {
      title: `Let ${dates} go on`,
      effects: [`${formatNumberOf(waiting, "day")} left.`],
      button: "Go on",
    },
    "cancel-backfill": {
      title: `Cancel ${dates}`,
      effects: [
        `${formatNumberOf(done, "day")} done stay; ${formatCount(asked)} at work are cancelled, ${formatCount(waiting)} are not asked for.`,
      ],
      button: "Cancel it",
    },
  }[action.do]
  return { ...nothing(action), ...said }
}
