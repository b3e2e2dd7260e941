import { asc, count, desc, eq, sql } from "drizzle-orm"
import { type RunState, runs, type ShardState, shards } from "../../schemas/database/ledger.ts"
import { type Verdict, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { MalformedError, parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { type Day, listDays, missingDay } from "../../shared/ledger/days/list-days.ts"

/** A run of the date as a line of its history. */
export interface Version {
  runId: string
  version: number
  state: RunState
  isShown: boolean
  requestedAt: Date
  decidedAt: Date | null
  askedBy: string | null
  via: string | null
  note: string | null
  dispatch: number
  shardCount: number | null
  /** Of the verdict: what readers would see, and what it changes of the version before. */
  users: string | undefined
  purchases: string | undefined
  amountCents: string | undefined
  changes: { fromVersion: number; added: string; changed: string; removed: string } | undefined
}

export interface ShardLine {
  index: number
  state: ShardState
  users: bigint | null
  purchases: bigint | null
  amountCents: string | null
  tookMs: number | undefined
  execution: string | null
  taskIndex: number | null
  attempt: number | null
  error: string | null
}

/** A stretch of shards, of which the strip has one cell. */
export interface StripCell {
  from: number
  shards: number
  states: Partial<Record<ShardState, number>>
}

/** What the page says of one day. */
export interface DayDetail {
  day: Day
  /** The newest first. */
  versions: Version[]
  /** The one whose proof and shards are shown. */
  version: Version | undefined
  /** A sentence where it cannot be read. */
  verdict: Verdict | string | undefined
  strip: StripCell[]
  shards: ShardLine[]
  shardPage: number
  shardPages: number
}

const VERSIONS_MAX = 10
const STRIP_CELLS_MAX = 200
const SHARDS_PER_PAGE = 20

export async function readDayDetail(
  db: Database,
  date: string,
  { version: wanted, shardPage = 1 }: { version?: number | undefined; shardPage?: number | undefined },
): Promise<DayDetail> {
  const [[known], versions] = await Promise.all([listDays(db, date, date), listVersions(db, date)])
  const day = known ?? missingDay(date)
  for (const version of versions) version.isShown = version.version === day.shown?.version
  const version = versions.find((other) => other.version === wanted) ?? versions[0]
  if (!version)
    return { day, versions, version, verdict: undefined, strip: [], shards: [], shardPage: 1, shardPages: 0 }
  const [verdict, total] = await Promise.all([
    readVerdict(db, version.runId),
    db.$count(shards, eq(shards.runId, version.runId)),
  ])
  const shardPages = Math.ceil(total / SHARDS_PER_PAGE)
  const page = Math.min(Math.max(1, shardPage), Math.max(1, shardPages))
  const [strip, lines] = await Promise.all([
    readStrip(db, version.runId, total),
    listShardPage(db, version.runId, page),
  ])
  return { day, versions, version, verdict, strip, shards: lines, shardPage: page, shardPages }
}

/** The newest versions, with a few numbers out of their verdicts, which may be long and stay in the database. */
async function listVersions(db: Database, date: string): Promise<Version[]> {
  // JSON null and nothing are both SQL's NULL.
  const ofVerdict = (path: string) => sql<string | null>`JSON_UNQUOTE(JSON_EXTRACT(${runs.verdict}, ${`$.${path}`}))`
  const rows = await db
    .select({
      runId: runs.runId,
      version: runs.version,
      state: runs.state,
      requestedAt: runs.requestedAt,
      decidedAt: runs.decidedAt,
      askedBy: runs.askedBy,
      via: runs.via,
      note: runs.note,
      dispatch: runs.dispatch,
      shardCount: runs.shardCount,
      users: ofVerdict("revenue.rows"),
      purchases: ofVerdict("revenue.purchases"),
      amountCents: ofVerdict("revenue.amountCents"),
      fromVersion: ofVerdict("changes.fromVersion"),
      added: ofVerdict("changes.added"),
      changed: ofVerdict("changes.changed"),
      removed: ofVerdict("changes.removed"),
    })
    .from(runs)
    .where(eq(runs.revenueDate, date))
    .orderBy(desc(runs.version))
    .limit(VERSIONS_MAX)
  return rows.map(({ fromVersion, added, changed, removed, users, purchases, amountCents, ...row }) => ({
    ...row,
    isShown: false,
    users: users ?? undefined,
    purchases: purchases ?? undefined,
    amountCents: amountCents ?? undefined,
    changes:
      fromVersion === null
        ? undefined
        : { fromVersion: Number(fromVersion), added: added ?? "0", changed: changed ?? "0", removed: removed ?? "0" },
  }))
}

async function readVerdict(db: Database, runId: string): Promise<Verdict | string | undefined> {
  const [run] = await db.select({ verdict: runs.verdict }).from(runs).where(eq(runs.runId, runId))
  if (!run?.verdict) return undefined
  try {
    return parseDocument(VerdictSchema, run.verdict)
  } catch (error) {
    // The rest of the page is worth having.
    if (error instanceof MalformedError) return `The verdict cannot be read: ${error.message}`
    throw error
  }
}

async function readStrip(db: Database, runId: string, total: number): Promise<StripCell[]> {
  const size = Math.max(1, Math.ceil(total / STRIP_CELLS_MAX))
  const cell = sql`${shards.shardIndex} DIV ${sql.raw(String(size))}`.mapWith(Number)
  const rows = await db
    .select({ cell: cell.as("cell"), state: shards.state, shards: count() })
    .from(shards)
    .where(eq(shards.runId, runId))
    .groupBy(sql`cell`, shards.state)
    .orderBy(sql`cell`)
  const cells = new Map<number, StripCell>()
  for (const row of rows) {
    const at = row.cell
    const known = cells.get(at) ?? { from: at * size, shards: 0, states: {} }
    cells.set(at, { ...known, shards: known.shards + row.shards, states: { ...known.states, [row.state]: row.shards } })
  }
  return [...cells.values()]
}

/** Those that are not done first: there is something to be seen. */
async function listShardPage(db: Database, runId: string, page: number): Promise<ShardLine[]> {
  const rows = await db
    .select({
      index: shards.shardIndex,
      state: shards.state,
      users: shards.rowCount,
      purchases: shards.purchases,
      amountCents: shards.amountCents,
      claimedAt: shards.claimedAt,
      committedAt: shards.committedAt,
      execution: shards.execution,
      taskIndex: shards.taskIndex,
      attempt: shards.attempt,
      error: shards.error,
    })
    .from(shards)
    .where(eq(shards.runId, runId))
    .orderBy(sql`${shards.state} = 'done'`, asc(shards.shardIndex))
    .limit(SHARDS_PER_PAGE)
    .offset((page - 1) * SHARDS_PER_PAGE)
  return rows.map(({ claimedAt, committedAt, ...row }) => ({
    ...row,
    tookMs: claimedAt && committedAt ? committedAt.getTime() - claimedAt.getTime() : undefined,
  }))
}
