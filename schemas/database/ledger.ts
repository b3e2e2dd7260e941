import { sql } from "drizzle-orm"
import {
  bigint,
  customType,
  date,
  datetime,
  decimal,
  index,
  int,
  mediumtext,
  mysqlTable,
  primaryKey,
  smallint,
  text,
  unique,
  varchar,
} from "drizzle-orm/mysql-core"
import { shopLayout } from "./shop.ts"
import { parseUserId, type UserId } from "./user-type.ts"

/**
 * planning → running → verifying → complete | incomplete; a rerun takes incomplete back to running.
 * Shards are offered, and computed, while the rest of the plan is still being cut. A run is unfinished until it has its verdict.
 */
const runStates = ["planning", "running", "verifying", "complete", "incomplete"] as const
export type RunState = (typeof runStates)[number]

/**
 * offered → claimed → done | failed. When the dispatch is closed, what is still offered or claimed becomes missing.
 * A later dispatch offers it again.
 */
export const shardStates = ["offered", "claimed", "done", "failed", "missing"] as const
export type ShardState = (typeof shardStates)[number]

/**
 * How a shop is read: through an index of the day, of which a shard is one slice, or through an index of each user's
 * purchases in their order of time, batch of users by batch.
 */
export const accessPaths = ["day-slice", "user-batches"] as const
export type AccessPath = (typeof accessPaths)[number]

const id = (name: string, length: number) => varchar(name, { length })
// DATETIME(3), always UTC: every connection sets its session's time zone to +00:00.
const at = (name: string) => datetime(name, { mode: "date", fsp: 3 })
/** A key of any shop's users, as text; its order is the shop's column's and not this one's. */
const userKey = customType<{ data: UserId; driverData: string }>({
  dataType: () => "varchar(255) character set utf8mb4 collate utf8mb4_bin",
  toDriver: String,
  // Who looks at the ledger of a shop with another SHOP_FILE, such as the command line without any, sees texts.
  fromDriver: (text) => (/^-?\d+$/.test(text) ? parseUserId(shopLayout.userType, text) : text),
})
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
      sql`IF(state IN ('planning', 'running', 'verifying'), revenue_date, NULL)`,
      { mode: "virtual" },
    ),
    requestId: id("request_id", 64).notNull(),
    timeZone: id("time_zone", 64).notNull(),
    fromAt: at("from_at").notNull(),
    toAt: at("to_at").notNull(),
    /** The shop's index through which every part of the run reads the day. */
    sourceIndex: id("source_index", 64).notNull(),
    /** How it is read through that index. */
    accessPath: id("source_way", 16).notNull().default("day-slice").$type<AccessPath>(),
    /** The four multipliers of the run's checksums; null: begun by a version of Daybook that could not prove each user. */
    checksumMultipliers: id("checksum_multipliers", 64),
    /** The audit whose finding this run repairs; one run for each. */
    repairOf: id("repair_of", 96),
    /** The newest dispatch. */
    dispatch: int("dispatch").notNull().default(0),
    /** Null until the last cut is fixed. */
    shardCount: int("shard_count"),
    requestedAt: at("requested_at").notNull(),
    /** When it was begun, by the database's clock; null: by an older version of Daybook. */
    begunAt: at("begun_at"),
    /** Why the newest dispatch could not be planned, or its execution not started; null: it could, or it is under way. */
    dispatchError: text("dispatch_error"),
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
