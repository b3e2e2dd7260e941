import { create } from "@bufbuild/protobuf"
import type { Shop } from "../../../schemas/database/shop.ts"
import {
  Audit_DriftedShardSchema,
  Audit_PartSchema,
  type Audit_Totals,
  Audit_TotalsSchema,
  Audit_UserChangeSchema,
  type Audit as AuditDocument,
  AuditSchema,
} from "../../../schemas/documents/audit_pb.ts"
import { formatJson, parseDocument } from "../../../schemas/json.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { readSource } from "../../../shared/database/read-source.ts"
import type { Throttle } from "../../../shared/database/throttle.ts"
import { sumRows } from "../../../shared/day/revenue-rows.ts"
import { addTotals, noRows, sameTotals, type Totals } from "../../../shared/day/totals.ts"
import { changeFields, parseTotals, totalsFields } from "../../../shared/day/totals-fields.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { beginAudit } from "../../../shared/ledger/audits/begin-audit.ts"
import { endAudit } from "../../../shared/ledger/audits/end-audit.ts"
import type { Audit } from "../../../shared/ledger/audits/find-audits.ts"
import { saveAudit } from "../../../shared/ledger/audits/save-audit.ts"
import { countErasedRows } from "../../../shared/ledger/erasures/erasures.ts"
import { findRun, type ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { listShards, type Shard } from "../../../shared/ledger/shards/find-shards.ts"
import { shardRange } from "../../../shared/ledger/shards/shard-range.ts"
import { cutPieces } from "./cut-pieces.ts"
import { type Examination, examineRange } from "./examine-range.ts"
import { sumShardsAtOnce } from "./source-reader.ts"
import { areTiles } from "./sum-scan.ts"
import { sumSource } from "./sum-source.ts"

export interface AuditContext {
  db: Database
  /** Where the shop is read; the database itself unless the shop is elsewhere. */
  shopDb: Database
  shop: Shop
  /** Asked before each batch. */
  throttle: Throttle
}

/** How far an audit was brought: to its end, to where it had to stop, or to where somebody else has got further. */
export type AuditOutcome = "ended" | "stopped" | "overtaken"

// Between two batches an audit may stop, and its progress is kept: a batch takes a second or two.
const SHARDS_PER_BATCH = 8

// With twenty users each, this is what a person reads and a document holds. In all further shards they are counted.
const SHARDS_WITH_USERS_MAX = 100

/**
 * Compares the version that readers see of a date with the shop as it is now, shard by shard from where it stands, for as
 * long as `mayGoOn` says. It writes nothing but its own row, and in the end the state of the day. Several finalizers may
 * do so at once: progress is kept by who was first, and who was not leaves it to them. Each purchase is read once, and
 * once more in a shard that differs. While the shop's server is busy it waits, and stops when `mayGoOn` says no.
 */
export async function auditDay(
  context: AuditContext,
  waiting: Audit,
  isRepaired: boolean,
  mayGoOn: () => boolean,
): Promise<AuditOutcome> {
  const { db, shop } = context
  let audit: Audit | undefined = waiting
  if (audit.state === "waiting") audit = await beginAudit(db, audit)
  if (!audit) return "ended"
  const found = await findRun(db, audit.runId ?? "")
  if (!found)
    throw new PermanentError(`the ledger has no run ${audit.runId} any more: start the date ${audit.revenueDate} anew`)
  const run = { ...found, shop }
  const shards = await listShards(db, run.runId)
  let document = audit.document ? parseDocument(AuditSchema, audit.document) : beginDocument(shop, audit)
  while (audit.nextShard < shards.length) {
    if (!mayGoOn() || !(await context.throttle.pass(mayGoOn))) return "stopped"
    const batch = nextBatch(run, shards.slice(audit.nextShard))
    const audited = await auditBatch(context, run, batch, document, mayGoOn)
    if (!audited) return "stopped"
    document = audited
    const nextShard: number = audit.nextShard + batch.length
    if (!(await saveAudit(db, audit, nextShard, formatJson(AuditSchema, document)))) return "overtaken"
    audit = { ...audit, nextShard }
  }
  const { source, drifted } = document
  const rowsErased = await countErasedRows(db, run)
  const isEnded = await endAudit(db, audit, {
    isDrifted: drifted.length > 0,
    isRepaired,
    source: readSide(shop, source),
    compose: (state, auditedAt) =>
      formatJson(
        AuditSchema,
        { ...document, state, auditedAt: auditedAt.toISOString(), ...(rowsErased > 0n ? { rowsErased } : {}) },
        2,
      ),
  })
  return isEnded ? "ended" : "overtaken"
}

function beginDocument({ layout }: Shop, audit: Audit): AuditDocument {
  const nothing = totalsFields(noRows(layout))
  return create(AuditSchema, {
    auditId: audit.auditId,
    date: audit.revenueDate,
    version: audit.version ?? 0,
    runId: audit.runId ?? "",
    requestId: audit.requestId,
    state: "auditing",
    startedAt: audit.startedAt?.toISOString() ?? "",
    revenue: nothing,
    source: nothing,
  })
}

/**
 * The shards to be audited at once: of a day that is read as it is all that are left, in one pass. Such a pass is ended by
 * nothing but a busy shop, so that it comes to its end however little time a sweep has.
 */
function nextBatch({ accessPath }: ShopRun, left: Shard[]): Shard[] {
  if (accessPath === "day-scan") return left
  const ahead = left.slice(0, SHARDS_PER_BATCH)
  // Every shard of a published run is done.
  const [batch = ahead] = cutPieces(ahead, { shardsMax: SHARDS_PER_BATCH, unknown: 0 })
  return batch
}

/** The document with what some more shards add to it; undefined if the shop was too busy to be read to the end of them. */
async function auditBatch(
  { db, shopDb, throttle }: AuditContext,
  run: ShopRun,
  shards: Shard[],
  document: AuditDocument,
  mayGoOn: () => boolean,
): Promise<AuditDocument | undefined> {
  const { userType } = run.shop.layout
  const ranges = shards.map((shard) => shardRange(userType, shard))
  const [rowSums, shopSums] = await Promise.all([
    sumRows(db, run, ranges),
    run.accessPath === "day-scan" && areTiles(ranges)
      ? sumShardsAtOnce(shopDb, run, shards, () => throttle.pass(mayGoOn)).then((sums) => sums?.shards)
      : readSource(() => sumSource(shopDb, run, ranges)),
  ])
  if (!shopSums) return undefined
  let revenue = readSide(run.shop, document.revenue)
  let source = readSide(run.shop, document.source)
  const drifted = [...document.drifted]
  let { usersDiffering } = document
  for (const [at, shard] of shards.entries()) {
    const [ours, theirs] = [rowSums[at], shopSums[at]]
    if (!ours || !theirs) throw new Error(`no totals of shard ${shard.shardIndex} of run ${run.runId}`)
    const isSame = ours.checksum === theirs.checksum && sameTotals(ours.totals, theirs.totals)
    const found = isSame ? undefined : await examineRange(db, shopDb, run, shardRange(userType, shard))
    // Nobody differs when it is looked at closely: the shop is as it was again.
    if (found && found.usersDiffering > 0n) {
      usersDiffering += found.usersDiffering
      drifted.push(toDrifted(shard, found, drifted.length < SHARDS_WITH_USERS_MAX))
    }
    revenue = addTotals(revenue, ours.totals)
    // The shop has a user for each of our rows, and those whom Revenue does not have.
    const rows = (ours.totals.rows ?? 0n) + (found?.usersMore ?? 0n)
    source = addTotals(source, { ...theirs.totals, rows })
  }
  return create(AuditSchema, {
    ...document,
    shards: document.shards + shards.length,
    revenue: toDocument(revenue),
    source: toDocument(source),
    usersDiffering,
    drifted,
  })
}

const readSide = ({ layout }: Shop, side: Audit_Totals | undefined) => (side ? parseTotals(side) : noRows(layout))

function toDocument(totals: Totals) {
  const { parts, ...sums } = totalsFields(totals)
  return create(Audit_TotalsSchema, { ...sums, parts: parts.map((part) => create(Audit_PartSchema, part)) })
}

function toDrifted({ shardIndex }: Shard, { usersDiffering, users }: Examination, areNamed: boolean) {
  return create(Audit_DriftedShardSchema, {
    index: shardIndex,
    usersDiffering,
    users: areNamed ? users.map((user) => create(Audit_UserChangeSchema, changeFields(user))) : [],
  })
}
