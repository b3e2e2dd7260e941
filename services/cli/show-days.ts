import type { Database } from "../../shared/database/open-database.ts"
import { listOpenBackfills } from "../../shared/ledger/backfills/backfills.ts"
import { describeDay, describeWant } from "../../shared/ledger/days/describe-day.ts"
import { type Day, listWindow, type Window } from "../../shared/ledger/days/list-days.ts"
import { describeDuty } from "../../shared/ledger/duties/describe-duty.ts"
import { listFailingDuties } from "../../shared/ledger/duties/duties.ts"
import { countTasksAtWork, findPause, type Pause } from "../../shared/ledger/pauses/pause.ts"
import { formatAmount } from "../../shared/terminal/render-amount.ts"
import { formatCount, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { describeBackfill } from "./describe-backfill.ts"
import type { readStatusConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

/** `daybook status`: a line for each day of a window, also for those that nobody ever asked for. */
export async function showDays(
  db: Database,
  { REVENUE_TIME_ZONE: timeZone, FIRST_DATE: firstDate, SHOP_FILE: { scale } }: ReturnType<typeof readStatusConfig>,
  { from, to, json }: Window & { json: boolean },
  terminal: Terminal,
): Promise<number> {
  const { days, begun } = await listWindow(db, { timeZone, firstDate }, { from, to })
  const [backfills, pause, failing] = await Promise.all([listOpenBackfills(db), findPause(db), listFailingDuties(db)])
  const failingDuties = failing.map(describeDuty)
  const tasks = pause ? await countTasksAtWork(db) : 0
  const dayLines =
    begun === undefined && from === undefined
      ? ["There is no run yet: npm run daybook -- start yesterday"]
      : [
          ...renderDays(days, scale),
          ...(await Promise.all(backfills.map((backfill) => describeBackfill(db, backfill)))),
          ...(pause ? [describePause(pause, tasks)] : []),
        ]
  const paused = pause ? { ...pause, tasksAtWork: tasks } : null
  const lines = [...dayLines, ...failingDuties.flatMap(renderDuty)]
  printResult(terminal, json, { days: days.map(describeDay), backfills, paused, failingDuties }, lines)
  return exitCodes.ok
}

function renderDays(days: Day[], scale: number): string[] {
  const right = "right" as const
  return renderTable(
    [
      { title: "DATE" },
      { title: "STATE" },
      { title: "VERSION", align: right },
      { title: "USERS", align: right },
      { title: "PURCHASES", align: right },
      { title: "AMOUNT", align: right },
      { title: "SHOWN SINCE" },
      { title: "AUDITED" },
      { title: "WANTS" },
    ],
    days.map((day) => {
      const { shown } = day
      const totals = shown?.totals
      return [
        day.date,
        day.lateAt && !shown ? `${day.state}, late` : day.state,
        shown ? String(shown.version) : "",
        totals?.rows === undefined ? "" : formatCount(totals.rows),
        totals ? formatCount(totals.purchases) : "",
        totals ? formatAmount(totals.amountCents, scale) : "",
        formatTime(shown?.since),
        formatTime(shown?.auditedAt ?? undefined),
        describeWant(day) ?? "",
      ]
    }),
  )
}

/** `paused since 2026-11-22 12:00 by Ada (the sale), until 2026-11-22 18:00: 2 tasks still have a shard`. */
function describePause({ changedAt, untilAt, askedBy, note }: Pause, tasks: number): string {
  const by = askedBy === null ? "" : ` by ${askedBy}`
  const why = note === null ? "" : ` (${note})`
  const until = untilAt === null ? "" : `, until ${formatTime(untilAt)}`
  const rest = tasks === 0 ? "no task is at work" : `${formatNumberOf(tasks, "task")} still at work`
  return `paused since ${formatTime(changedAt ?? undefined)}${by}${why}${until}: ${rest}`
}

/** What fails and since when, why, and what to do about it. */
function renderDuty({
  name,
  effect,
  failures,
  failingSince,
  lastError,
  next,
}: ReturnType<typeof describeDuty>): string[] {
  const since = failingSince ? ` since ${formatTime(failingSince)}` : ""
  return [
    `Needs attention: ${name} failed ${failures} times in a row${since}. Meanwhile ${effect}.`,
    `  Error: ${lastError}`,
    `  Next: ${next}`,
  ]
}

/** To the minute, in UTC. */
const formatTime = (at: Date | undefined) => at?.toISOString().slice(0, 16).replace("T", " ") ?? ""
