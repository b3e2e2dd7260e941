import type { Database } from "../../shared/database/open-database.ts"
import { SHARD_PURCHASES_MIN } from "../../shared/day/estimate-day.ts"
import { checkDate, checkDates } from "../../shared/day/revenue-day.ts"
import { PermanentError } from "../../shared/errors.ts"
import { countBackfillDays, findBackfill, listDatesToFill } from "../../shared/ledger/backfills/backfills.ts"
import { type Day, listDays } from "../../shared/ledger/days/list-days.ts"
import { countTasksAtWork } from "../../shared/ledger/pauses/pause.ts"
import { findNewestRun, findRun } from "../../shared/ledger/runs/find-runs.ts"
import { readRunProgress } from "../../shared/ledger/runs/run-progress.ts"
import { estimateTime, findPurchasesPerShard, listRunTimes } from "../../shared/ledger/runs/run-times.ts"
import { nameRun, type PersonRequest } from "../../shared/messages/person-requests.ts"
import { formatCount, formatDuration, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import { formatDate } from "./html/format.ts"

/** What a request would do, before anybody sends it. */
export interface Preview {
  request: PersonRequest
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

type Of<Kind extends PersonRequest["do"]> = Extract<PersonRequest, { do: Kind }>

const DATES_SHOWN_MAX = 14

/** Looks into the ledger for what a request would meet. `yesterday` is the date that the word means now. */
export async function previewAction(db: Database, request: PersonRequest, yesterday: string): Promise<Preview> {
  switch (request.do) {
    case "start": {
      const date = request.date === "yesterday" ? yesterday : checkDate(request.date)
      return previewDates(db, { ...request, date }, [date], 1)
    }
    case "backfill":
      return previewBackfilling(db, request)
    case "audit":
      return previewAudit(request)
    case "rerun":
    case "release":
      return previewRun(db, request)
    case "cancel":
      return "run" in request ? previewRun(db, request) : previewBackfill(db, request, request.backfill)
    case "pause":
    case "resume":
  }
  return request.backfill === undefined ? previewPause(db, request) : previewBackfill(db, request, request.backfill)
}

async function previewPause(db: Database, request: Of<"pause" | "resume">): Promise<Preview> {
  if (request.do === "resume") {
    return {
      ...nothing(request),
      title: "Let everything go on",
      effects: ["Shards that are left are brought to new tasks, and runs that wait have their turn."],
      button: "Go on",
    }
  }
  const tasks = await countTasksAtWork(db)
  const until = request.until === undefined ? "somebody lets everything go on" : request.until
  return {
    ...nothing(request),
    title: "Pause everything",
    effects: [
      `${formatNumberOf(tasks, "task")} at work: each finishes its shard and claims no other.`,
      `Runs that are asked for meanwhile wait. It holds until ${until}.`,
    ],
    button: "Pause",
  }
}

function previewAudit(request: Of<"audit">): Preview {
  const { from, to } = request
  return {
    ...nothing(request),
    title: from === to ? `Audit ${from}` : `Audit the days from ${from} to ${to}`,
    effects: [
      "The days that readers see are compared with the shop as it is now. A recent one that has drifted is repaired.",
    ],
    button: "Audit",
  }
}

async function previewBackfilling(db: Database, request: Of<"backfill">): Promise<Preview> {
  const { from, to, runsAtOnce } = request
  checkDates(from, to)
  const { dates, known } = await listDatesToFill(db, request)
  return previewDates(db, request, dates, runsAtOnce, known)
}

const nothing = (request: PersonRequest) => ({ request, dates: [], dateCount: 0 })

async function previewDates(
  db: Database,
  request: Of<"start" | "backfill">,
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
    request,
    title: request.do === "start" ? `Compute ${formatDate(first)}` : `Compute ${formatNumberOf(dates.length, "day")}`,
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

async function previewRun(db: Database, request: Extract<PersonRequest, { run: string }>): Promise<Preview> {
  const { case: kind, value } = nameRun(request.run)
  const run = kind === "runId" ? await findRun(db, value) : await findNewestRun(db, value)
  const progress = run && (await readRunProgress(db, run.runId))
  if (!run || !progress) throw new PermanentError(`there is no run ${request.run}`)
  const { done } = progress.shards
  const left = (run.shardCount ?? 0) - done
  const name = `version ${run.version} of ${formatDate(run.revenueDate)}`
  const shards = request.do === "rerun" ? request.shards : undefined
  const said = {
    rerun: {
      title: `Rerun ${name}`,
      effects: [
        shards
          ? `Shards ${shards.join(", ")} of ${formatCount(run.shardCount ?? 0)} are computed again.`
          : `All that its verdict found wanting is computed again: about ${formatNumberOf(Math.max(left, 0), "shard")} of ${formatCount(run.shardCount ?? 0)} are not done.`,
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
  }[request.do]
  return { request, ...said, dates: [{ date: run.revenueDate, reason: run.state }], dateCount: 1 }
}

async function previewBackfill(
  db: Database,
  request: Of<"cancel" | "pause" | "resume">,
  backfillId: string,
): Promise<Preview> {
  const backfill = await findBackfill(db, backfillId)
  if (!backfill) throw new PermanentError(`there is no backfill ${backfillId}`)
  const { waiting, asked, done } = await countBackfillDays(db, backfill.backfillId)
  const dates = `the backfill from ${backfill.fromDate} to ${backfill.toDate}`
  const said = {
    pause: {
      title: `Pause ${dates}`,
      effects: [`${formatNumberOf(asked, "day")} at work are finished; ${formatCount(waiting)} wait until it goes on.`],
      button: "Pause it",
    },
    resume: {
      title: `Let ${dates} go on`,
      effects: [`${formatNumberOf(waiting, "day")} left.`],
      button: "Go on",
    },
    cancel: {
      title: `Cancel ${dates}`,
      effects: [
        `${formatNumberOf(done, "day")} done stay; ${formatCount(asked)} at work are cancelled, ${formatCount(waiting)} are not asked for.`,
      ],
      button: "Cancel it",
    },
  }[request.do]
  return { ...nothing(request), ...said }
}
