import { sql } from "drizzle-orm"
import {
  bigint,
  boolean,
  date,
  datetime,
  decimal,
  index,
  int,
  mysqlTable,
  primaryKey,
  smallint,
  unique,
  varchar,
} from "drizzle-orm/mysql-core"
import { mediumtext, text, words } from "./text-columns.ts"

/**
 * waiting → planning → running → verifying → complete | incomplete | held; a rerun takes incomplete back to waiting, and on to
 * running; what a check holds is complete once a person has released it. Whoever is not yet being verified may be cancelled. A run waits for its turn while others are at work, as many
 * as may be at once. Shards are offered, and computed, while the rest of the plan is still being cut. A run is unfinished
 * until it has its verdict.
 */
export const runStates = [
  "waiting",
  "planning",
  "running",
  "verifying",
  "complete",
  "incomplete",
  "held",
  "cancelled",
] as const
export type RunState = (typeof runStates)[number]

/**
 * offered → claimed → done | failed. When the dispatch is closed, what is still offered or claimed becomes missing.
 * A later dispatch offers it again.
 */
export const shardStates = ["offered", "claimed", "done", "failed", "missing"] as const
export type ShardState = (typeof shardStates)[number]

/**
 * How a shop is read: through an index of the day, of which a shard is one slice; as it is, through an index of its own that
 * begins with the time, each shard passing over the day; or through an index of each user's purchases in their order of time,
 * batch of users by batch.
 */
export const accessPaths = ["day-slice", "day-scan", "user-batches"] as const
export type AccessPath = (typeof accessPaths)[number]

const id = (name: string, length: number) => varchar(name, { length })
/** Who asked, by which way and why: as the request's attributes say, null where they do not. */
const asker = {
  askedBy: words("asked_by", { length: 254 }),
  via: words("via", { length: 32 }),
  note: words("note", { length: 1_000 }),
}
// DATETIME(3), always UTC: every connection sets its session's time zone to +00:00.
const at = (name: string) => datetime(name, { mode: "date", fsp: 3 })
/** A key of any shop's users, as documents have it; its order is the shop's column's and not this one's. */
const userKey = (name: string) => words(name, { length: 255 })
// A sum over many 64-bit amounts may need more than 64 bits.
const sum = (name: string) => decimal(name, { precision: 38, scale: 0 })

/** One computation of one revenue date. */
export const runs = mysqlTable(
  "runs",
  {
    runId: id("run_id", 64).primaryKey(),
    revenueDate: date("revenue_date", { mode: "string" }).notNull(),
    version: int("version").notNull(),
    state: id("state", 16).notNull().$type<RunState>(),
    /** The revenue date while the run is unfinished, else null: its unique key is what keeps a date to one such run. */
    unfinishedDate: date("unfinished_date", { mode: "string" }).generatedAlwaysAs(
      sql`IF(state IN ('waiting', 'planning', 'running', 'verifying'), revenue_date, NULL)`,
      { mode: "virtual" },
    ),
    requestId: id("request_id", 64).notNull(),
    timeZone: id("time_zone", 64).notNull(),
    fromAt: at("from_at").notNull(),
    toAt: at("to_at").notNull(),
    /** The shop's index through which every part of the run reads the day. */
    sourceIndex: words("source_index", { length: 64 }).notNull(),
    /** How it is read through that index. */
    accessPath: id("source_way", 16).notNull().default("day-slice").$type<AccessPath>(),
    /** The four multipliers of the run's checksums; null: begun by a version of Daybook that could not prove each user. */
    checksumMultipliers: id("checksum_multipliers", 64),
    /** The audit whose finding this run repairs; one run for each. */
    repairOf: id("repair_of", 96),
    /** Which need of Daybook's own asked for it, such as a gap in the days; one run for each. */
    cause: id("cause", 96),
    /** The backfill that requested it; null: none did. */
    backfillId: id("backfill_id", 64),
    ...asker,
    /** The newest dispatch. */
    dispatch: int("dispatch").notNull().default(0),
    /** Null until the last cut is fixed. */
    shardCount: int("shard_count"),
    requestedAt: at("requested_at").notNull(),
    /** When it was begun, by the database's clock; null: by an older version of Daybook. */
    begunAt: at("begun_at"),
    /** Why the newest dispatch could not be planned, or its execution not started; null: it could, or it is under way. */
    dispatchError: text("dispatch_error"),
    /** When a task stopped because of a pause; null: none did, or its shards are with an execution again. */
    pausedAt: at("paused_at"),
    /** Why a task waits for the database; null: none does. */
    throttled: words("throttled", { length: 255 }),
    /** When the last shard was offered; null: the run is being planned, or was closed before its plan was whole. */
    plannedAt: at("planned_at"),
    /** When the newest dispatch was closed and verification began: what a complete verdict proves is the day as of then. */
    verifyingAt: at("verifying_at"),
    decidedAt: at("decided_at"),
    /** The newest verdict document, JSON: written in the transaction that decides, sent from here afterwards. */
    verdict: mediumtext("verdict"),
    /** When the newest verdict was written to the bucket and sent to its topic; null: that is still to do. */
    announcedAt: at("announced_at"),
    /** When the rows of this version, no longer shown, were all deleted. */
    prunedAt: at("pruned_at"),
  },
  (table) => [
    unique("runs_version").on(table.revenueDate, table.version),
    unique("runs_unfinished").on(table.unfinishedDate),
    unique("runs_repair").on(table.repairOf),
    unique("runs_cause").on(table.cause),
    index("runs_state").on(table.state),
  ],
)

/** One offering of shards: its work items and its execution of the job. */
export const dispatches = mysqlTable(
  "dispatches",
  {
    runId: id("run_id", 64).notNull(),
    dispatch: int("dispatch").notNull(),
    /** The message that asked for it: the same message twice is the same dispatch. */
    requestId: id("request_id", 64).notNull(),
    ...asker,
    /** Null while the run is being planned: more may come. */
    shardCount: int("shard_count"),
    /** How many of its shards have reported. */
    reported: int("reported").notNull().default(0),
    /** The execution that RunJob answered with, as CLOUD_RUN_EXECUTION names it; null until then. */
    execution: id("execution", 255),
    openedAt: at("opened_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.dispatch] }),
    unique("dispatches_request").on(table.runId, table.requestId),
  ],
)

/**
 * waiting → auditing → same | drifted | outdated | failed. An audit compares a published version with the shop as it is
 * now, shard by shard; outdated: readers see another version by now, so there is nothing to say of this one.
 */
const auditStates = ["waiting", "auditing", "same", "drifted", "outdated", "failed"] as const
export type AuditState = (typeof auditStates)[number]

/**
 * none: not to be repaired by itself. due → asked: the date is asked for anew, once for each audit that found drift.
 */
const repairStates = ["none", "due", "asked"] as const
export type RepairState = (typeof repairStates)[number]

/** Every look at a published day after its verdict. */
export const audits = mysqlTable(
  "audits",
  {
    /** `<date>-<request id>`: the same request is one audit of each of its dates. */
    auditId: id("audit_id", 96).primaryKey(),
    revenueDate: date("revenue_date", { mode: "string" }).notNull(),
    /** The message that asked for it, or of a sweep `night-<date>`. */
    requestId: id("request_id", 64).notNull(),
    /** What is audited: the version that readers saw when the audit began; null before. */
    version: int("version"),
    runId: id("run_id", 64),
    state: id("state", 16).notNull().$type<AuditState>(),
    /** The shard to look at next: an audit that was cut off goes on there. */
    nextShard: int("next_shard").notNull().default(0),
    /** What was found so far, in the end the audit document: JSON. */
    document: mediumtext("document"),
    repair: id("repair", 16).notNull().default("none").$type<RepairState>(),
    requestedAt: at("requested_at").notNull(),
    startedAt: at("started_at"),
    auditedAt: at("audited_at"),
    /** When the document was written to the bucket; null: that is still to do. */
    announcedAt: at("announced_at"),
    /** When the repair was asked for. */
    repairAskedAt: at("repair_asked_at"),
  },
  (table) => [
    index("audits_date").on(table.revenueDate, table.auditedAt),
    index("audits_request").on(table.requestId),
    index("audits_state").on(table.state, table.requestedAt),
    index("audits_repair").on(table.repair),
    index("audits_announced").on(table.announcedAt),
  ],
)

/** What is one for all runs: the row `runs`. Whoever admits a run locks it, so that two are not let in for one slot. */
export const controls = mysqlTable("controls", {
  name: id("name", 16).primaryKey(),
  /** Nothing is claimed or let in, until `untilAt` if that is set. */
  paused: boolean("paused").notNull().default(false),
  untilAt: at("until_at"),
  /** When the newest request to pause or to go on was published: an older one that comes later changes nothing. */
  changedAt: at("changed_at"),
  ...asker,
})

/** Of which dates a backfill is. */
export const backfillKinds = ["missing", "incomplete", "drifted", "all"] as const
export type BackfillKind = (typeof backfillKinds)[number]

/** at-work → ended, when each of its days has been decided; or cancelled. Paused, it asks for none meanwhile. */
const backfillStates = ["at-work", "paused", "ended", "cancelled"] as const
export type BackfillState = (typeof backfillStates)[number]

/** waiting → asked → done | failed; or cancelled before it was asked for. */
const backfillDayStates = ["waiting", "asked", "done", "failed", "cancelled"] as const
export type BackfillDayState = (typeof backfillDayStates)[number]

/** Many dates that somebody asked for at once. */
export const backfills = mysqlTable(
  "backfills",
  {
    /** The request's message. */
    backfillId: id("backfill_id", 64).primaryKey(),
    fromDate: date("from_date", { mode: "string" }).notNull(),
    toDate: date("to_date", { mode: "string" }).notNull(),
    which: id("which", 16).notNull().$type<BackfillKind>(),
    runsAtOnce: int("runs_at_once").notNull(),
    state: id("state", 16).notNull().$type<BackfillState>(),
    ...asker,
    requestedAt: at("requested_at").notNull(),
    /** When the newest request to pause it, or to let it go on, was published. */
    pauseChangedAt: at("pause_changed_at"),
    endedAt: at("ended_at"),
  },
  (table) => [index("backfills_state").on(table.state)],
)

/** The dates of a backfill, which stay what they were when it was asked for. */
export const backfillDays = mysqlTable(
  "backfill_days",
  {
    backfillId: id("backfill_id", 64).notNull(),
    revenueDate: date("revenue_date", { mode: "string" }).notNull(),
    /** The order in which they are asked for. */
    position: int("position").notNull(),
    state: id("state", 16).notNull().$type<BackfillDayState>(),
    /** The run request that asked for it. */
    requestId: id("request_id", 64),
    askedAt: at("asked_at"),
    /** Why it failed. */
    reason: text("reason"),
  },
  (table) => [
    primaryKey({ columns: [table.backfillId, table.revenueDate] }),
    index("backfill_days_state").on(table.backfillId, table.state, table.position),
  ],
)

/** What the sweep has told of a date, and asked for by itself. */
export const days = mysqlTable("days", {
  revenueDate: date("revenue_date", { mode: "string" }).primaryKey(),
  /** When it was told that readers did not see the day at its deadline. */
  lateAt: at("late_at"),
  /** When it was told that a late day is there. */
  arrivedAt: at("arrived_at"),
  /** How often the sweep asked for it because it was missing, and when last. */
  asked: int("asked").notNull().default(0),
  askedAt: at("asked_at"),
})

/** What happened to published days, each to be sent to its topic: written in the transaction that made it so. */
export const dayChanges = mysqlTable(
  "day_changes",
  {
    changeId: bigint("change_id", { mode: "bigint" }).primaryKey().autoincrement(),
    revenueDate: date("revenue_date", { mode: "string" }).notNull(),
    /** The message, JSON. */
    message: text("message").notNull(),
    changedAt: at("changed_at").notNull(),
    /** Null: still to be sent. */
    sentAt: at("sent_at"),
  },
  (table) => [index("day_changes_sent").on(table.sentAt), index("day_changes_date").on(table.revenueDate)],
)

/** Each time that a user was forgotten. Who it was is not kept. */
export const erasures = mysqlTable("erasures", {
  erasureId: id("erasure_id", 64).primaryKey(),
  ...asker,
  requestedAt: at("requested_at").notNull(),
  /** Null: it was cut off, or could not erase everything. */
  endedAt: at("ended_at"),
})

/** How many rows an erasure deleted of which version: from then on it has less than its manifests and its verdict say. */
export const erasedRows = mysqlTable(
  "erased_rows",
  {
    erasureId: id("erasure_id", 64).notNull(),
    revenueDate: date("revenue_date", { mode: "string" }).notNull(),
    version: int("version").notNull(),
    rowCount: int("row_count").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.erasureId, table.revenueDate, table.version] }),
    index("erased_rows_version").on(table.revenueDate, table.version),
  ],
)

/** How the duties of the finalizer's sweep fare. The page and the command line, which show it, are other processes. */
export const duties = mysqlTable("duties", {
  name: id("name", 32).primaryKey(),
  /** When the first of the failures in a row happened; null: the newest attempt succeeded. */
  failingSince: at("failing_since"),
  /** How often it failed in a row. */
  failures: int("failures").notNull().default(0),
  /** Why the newest attempt failed; null: it succeeded. */
  lastError: text("last_error"),
  /** Null: it has never succeeded. */
  succeededAt: at("succeeded_at"),
})

/** The shards of every run with the claims that fence them. */
export const shards = mysqlTable(
  "shards",
  {
    runId: id("run_id", 64).notNull(),
    shardIndex: int("shard_index").notNull(),
    /** A user's key as documents have it. Null: no lower bound. */
    rangeFrom: userKey("range_from"),
    /** Null: no upper bound. */
    rangeTo: userKey("range_to"),
    /** The newest dispatch that offered it. */
    dispatch: int("dispatch").notNull(),
    /** Its place in that dispatch: the task with this index claims it first. */
    position: int("position").notNull(),
    state: id("state", 16).notNull().$type<ShardState>(),
    /** The fencing token: grows with every claim, every new offer and every closing. */
    epoch: int("epoch").notNull().default(0),
    /** How often a claim of this dispatch was taken over from an attempt that died. */
    crashes: smallint("crashes").notNull().default(0),
    execution: id("execution", 255),
    taskIndex: int("task_index"),
    attempt: int("attempt"),
    claimedAt: at("claimed_at"),
    committedAt: at("committed_at"),
    /** When the finalizer took its report; null: not yet. */
    reportedAt: at("reported_at"),
    rowCount: bigint("row_count", { mode: "bigint" }),
    purchases: bigint("purchases", { mode: "bigint" }),
    amountCents: sum("amount_cents"),
    /** See shared/day/checksum.ts. */
    checksum: decimal("checksum", { precision: 65, scale: 0 }),
    /** What the currencies and measures add up to, JSON; null where there are none. */
    parts: text("parts"),
    /** Why it failed. */
    error: text("error"),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.shardIndex] }),
    unique("shards_position").on(table.runId, table.dispatch, table.position),
    // With the position, so that the next offered shard is one entry and not a sort of all that are offered.
    index("shards_state").on(table.runId, table.dispatch, table.state, table.position),
  ],
)
