import type { Bucket } from "@google-cloud/storage"
import { backfillDays, backfills, days, runs, shards } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import type { Publish } from "../../services/page/serve-actions.ts"
import { type PageOptions, servePage } from "../../services/page/serve-page.ts"
import type { Asker } from "../../shared/asker.ts"
import { addDays } from "../../shared/day/revenue-day.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import type { TestDatabase } from "./test-database.ts"

/** The page on a test's ledger, with what it has published. */
export async function startPage(
  database: Pick<TestDatabase, "db" | "url">,
  options: Partial<PageOptions> & { canAct?: boolean } = {},
) {
  const published: { topic: string; data: string; asker: Asker }[] = []
  const { canAct = true, ...rest } = options
  const publish: Publish = async (request, asker) => {
    published.push({ ...request, asker })
    return `message-${published.length}`
  }
  // There is no rejection in it: that is all that the page looks for.
  const bucket = {
    name: "daybook",
    file: () => ({ download: async () => Promise.reject(notFound) }),
  } as unknown as Bucket
  const page = await servePage({
    db: database.db,
    bucket,
    log: await createLog("page", "silent"),
    port: 0,
    host: "127.0.0.1",
    settings: { timeZone: "UTC", firstDate: undefined, deadline: undefined, scale: 2 },
    project: "shop",
    databaseUrl: database.url,
    now: () => new Date("2026-11-25T05:00:00Z"),
    ...(canAct ? { publish } : {}),
    ...rest,
  })
  return { ...page, published }
}

const notFound = Object.assign(new Error("No such object"), { code: 404 })

/** A day as the ledger has it after its run. */
export interface LedgerDay {
  date: string
  version?: number
  state?: typeof runs.$inferInsert.state
  /** What readers see; by default a complete day is shown. */
  shown?: typeof publishedDays.$inferInsert.state | null
  amountCents?: string
  purchases?: bigint
  note?: string | null
  askedBy?: string | null
  verdict?: string | null
  shardCount?: number
  error?: string
}

/** Writes days into the ledger, in few statements however many they are. */
export async function fillLedger(
  { db }: Pick<TestDatabase, "db">,
  of: LedgerDay[],
  rowsPerInsert = 500,
): Promise<void> {
  for (let start = 0; start < of.length; start += rowsPerInsert) {
    const some = of.slice(start, start + rowsPerInsert)
    await db.insert(runs).values(some.map(toRun))
    const shown = some.filter(
      (day) => day.shown !== null && (day.shown !== undefined || (day.state ?? "complete") === "complete"),
    )
    if (shown.length > 0) await db.insert(publishedDays).values(shown.map(toPublished))
  }
  for (const day of of.filter(({ shardCount }) => shardCount !== undefined)) {
    const all = Array.from({ length: day.shardCount ?? 0 }, (_, index) => toShard(day, index))
    for (let start = 0; start < all.length; start += 1_000)
      await db.insert(shards).values(all.slice(start, start + 1_000))
  }
}

const runIdOf = ({ date, version = 1 }: LedgerDay) => `${date}-${version}`

function toRun(day: LedgerDay): typeof runs.$inferInsert {
  const { date, version = 1, state = "complete" } = day
  // How long a run has been at work is by the database's clock.
  const at = state === "running" ? new Date(Date.now() - 40_000) : new Date(`${addDays(date, 1)}T00:10:00Z`)
  return {
    runId: runIdOf(day),
    revenueDate: date,
    version,
    state,
    requestId: String(version),
    timeZone: "UTC",
    fromAt: new Date(`${date}T00:00:00Z`),
    toAt: new Date(`${addDays(date, 1)}T00:00:00Z`),
    sourceIndex: "purchases_day",
    askedBy: day.askedBy ?? null,
    via: day.askedBy ? "cli" : null,
    note: day.note ?? null,
    shardCount: day.shardCount ?? 1,
    requestedAt: at,
    begunAt: at,
    ...(["complete", "incomplete", "held", "cancelled"].includes(state)
      ? { decidedAt: new Date(at.getTime() + 120_000), announcedAt: new Date(at.getTime() + 121_000) }
      : {}),
    verdict: day.verdict ?? null,
  }
}

function toPublished(day: LedgerDay): typeof publishedDays.$inferInsert {
  const { date, version = 1, shown, amountCents = "125056979", purchases = 19_410n } = day
  return {
    revenueDate: date,
    version,
    runId: runIdOf(day),
    publishedAt: new Date(`${addDays(date, 1)}T00:12:00Z`),
    state: shown ?? "shown",
    rowCount: 4_367n,
    purchases,
    amountCents,
  }
}

function toShard(day: LedgerDay, index: number): typeof shards.$inferInsert {
  const isFailed = day.error !== undefined && index === 3
  const isDone = (day.state ?? "complete") !== "running" || index % 2 === 0
  return {
    runId: runIdOf(day),
    shardIndex: index,
    rangeFrom: index === 0 ? null : String(index * 10),
    rangeTo: index === (day.shardCount ?? 0) - 1 ? null : String(index * 10 + 10),
    dispatch: 0,
    position: index,
    state: isFailed ? "failed" : isDone ? "done" : "offered",
    execution: isDone ? "daybook-worker-abc" : null,
    taskIndex: isDone ? index % 4 : null,
    attempt: isDone ? 0 : null,
    error: isFailed ? day.error : null,
    ...(isDone && !isFailed
      ? {
          ...(day.state === "running"
            ? { claimedAt: new Date(Date.now() - 30_000), committedAt: new Date(Date.now() - 28_750) }
            : { claimedAt: new Date("2026-11-25T00:11:00Z"), committedAt: new Date("2026-11-25T00:11:01.250Z") }),
          rowCount: 10n,
          purchases: 40n,
          amountCents: "123456",
        }
      : {}),
  }
}

/** A backfill at work, and a day that was late. */
export async function addBackfill({ db }: Pick<TestDatabase, "db">, dates: string[]): Promise<void> {
  await db.insert(backfills).values({
    backfillId: "1795",
    fromDate: dates[0] ?? "",
    toDate: dates.at(-1) ?? "",
    which: "missing",
    runsAtOnce: 2,
    state: "at-work",
    requestedAt: new Date("2026-11-25T04:00:00Z"),
  })
  await db.insert(backfillDays).values(
    dates.map((revenueDate, position) => ({
      backfillId: "1795",
      revenueDate,
      position,
      state: position === 0 ? ("done" as const) : ("waiting" as const),
    })),
  )
}

export async function addLate({ db }: Pick<TestDatabase, "db">, date: string): Promise<void> {
  await db.insert(days).values({ revenueDate: date, lateAt: new Date(`${addDays(date, 1)}T06:00:00Z`) })
}
