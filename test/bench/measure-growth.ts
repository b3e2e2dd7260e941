import { monitorEventLoopDelay } from "node:perf_hooks"
import { setImmediate as giveWay } from "node:timers/promises"
import { create } from "@bufbuild/protobuf"
import type { SQL } from "drizzle-orm"
import { MySqlDialect } from "drizzle-orm/mysql-core"
import pMap from "p-map"
import { plainShop } from "../../schemas/database/shop.ts"
import { PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import { addUpEvidence } from "../../services/finalizer/proof/add-up-evidence.ts"
import { gatherEvidence } from "../../services/finalizer/proof/gather-evidence.ts"
import { composeVerdict } from "../../services/finalizer/verdict/compose-verdict.ts"
import { judgeRun } from "../../services/finalizer/verdict/judge-run.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { writeManifest } from "../../services/worker/write-manifest.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { planPath } from "../../shared/documents/document-paths.ts"
import { createDocument } from "../../shared/documents/documents.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { rangeFields } from "../../shared/range.ts"
import { cutAt, newRun, openFirstDispatch } from "../fixtures/test-run.ts"
import { unthrottled } from "../fixtures/unthrottled.ts"
import { forgetRuns, type Room } from "./fixture.ts"
import { addShopTables } from "./spare-database.ts"

export interface GrowthFigures {
  planner: { purchases: number; shards: number; statements: number; ms: number; planBytes: number; evenness: number }
  finalizer: {
    manifests: number
    gatherMs: number
    judgeMs: number
    composeMs: number
    blockedMs: number
    findings: number
  }
}

const PURCHASES = 1_000_000_000
const SHARD_PURCHASES = 50_000
const MANIFESTS = 50_000
const WRITES_AT_ONCE = 16

/** Sizes that do not fit one machine: a planner whose database answers from a formula, and evidence of empty shards. */
export async function measureGrowth(room: Room): Promise<GrowthFigures> {
  return { planner: await planBillion(), finalizer: await judgeThousands(room) }
}

// Each thousand users buy 4,000 things: 999 of them three each, and one the rest. Ids are seven apart.
const GROUP_USERS = 1_000
const GROUP_PURCHASES = 4_000
const ID_STEP = 7n

// So many rows InnoDB counts, and doubles what it estimates of more.
const COUNTED_ROWS = 3_000

/** Stands for a database of a billion rows: says what an index would, of the ranges in a query. */
function answer(query: string): unknown[] {
  const bounds = (select: string) => {
    const bound = (pattern: RegExp, otherwise: number) => {
      const found = pattern.exec(select)
      return found ? positionOf(BigInt(found[1] ?? 0) / ID_STEP + (found[0].startsWith("> ") ? 1n : 0n)) : otherwise
    }
    return [bound(/>=? (\d+)/, 0), bound(/< (\d+)/, PURCHASES)] as const
  }
  if (query.startsWith("EXPLAIN")) {
    return query.split("UNION ALL").map((select) => {
      const [from, to] = bounds(select)
      return { rows: (to - from) * (to - from > COUNTED_ROWS ? 2 : 1) }
    })
  }
  const [from, to] = bounds(query)
  if (query.includes("COUNT(*)")) return [{ count: to - from }]
  const position = query.includes("DESC") ? to - 1 : from
  return position < from || position >= PURCHASES ? [] : [{ userId: String(userAt(position) * ID_STEP) }]
}

async function planBillion(): Promise<GrowthFigures["planner"]> {
  const dialect = new MySqlDialect()
  let statements = 0
  const execute = async (query: SQL) => {
    statements++
    return [answer(dialect.sqlToQuery(query).sql.trim())]
  }
  const day = newRun()
  const startedAt = performance.now()
  const ranges = await Array.fromAsync(
    planRanges({ execute } as unknown as Database, day, { shardPurchases: SHARD_PURCHASES }),
  )
  const ms = performance.now() - startedAt
  const cuts = [0, ...ranges.slice(1).map(({ from }) => positionOf(BigInt(from ?? 0n) / ID_STEP)), PURCHASES]
  const sizes = cuts.slice(1).map((cut, index) => cut - (cuts[index] ?? 0))
  return {
    purchases: PURCHASES,
    shards: ranges.length,
    statements,
    ms,
    planBytes: formatJson(PlanSchema, { shards: ranges.map(rangeFields) }, 2).length,
    evenness: (Math.max(...sizes) * sizes.length) / PURCHASES,
  }
}

/** How many purchases lie before a user's first. */
function positionOf(user: bigint): number {
  const place = Number(user % BigInt(GROUP_USERS))
  return Math.floor(Number(user) / GROUP_USERS) * GROUP_PURCHASES + place * 3
}

function userAt(position: number): bigint {
  const place = Math.min(GROUP_USERS - 1, Math.floor((position % GROUP_PURCHASES) / 3))
  return BigInt(Math.floor(position / GROUP_PURCHASES) * GROUP_USERS + place)
}

/** A run whose shards are all done and empty, with its plan and manifests in the bucket, through the real clients. */
async function judgeThousands(room: Room): Promise<GrowthFigures["finalizer"]> {
  const { db, bucket } = room
  await addShopTables(room.databaseUrl)
  await forgetRuns(room)
  const ranges = cutAt(...Array.from({ length: MANIFESTS - 1 }, (_, index) => BigInt(index) * 100n))
  const run = { ...(await createRun(db, newRun())), shop: plainShop }
  await openFirstDispatch(db, run, ranges)
  await room.query(`UPDATE shards SET state = 'done', epoch = 1, execution = 'bench', task_index = 0, attempt = 0,
    row_count = 0, purchases = 0, amount_cents = 0, checksum = 0, claimed_at = NOW(3), committed_at = NOW(3)`)
  const plan = create(PlanSchema, { runId: run.runId, shards: ranges.map(rangeFields) })
  await createDocument(bucket, planPath(run.runId), formatJson(PlanSchema, plan), room)
  const shards = await listShards(db, run.runId)
  await pMap(shards, (shard) => writeManifest(bucket, run, shard, room), { concurrency: WRITES_AT_ONCE })

  const times = [performance.now()]
  const lap = () => times.push(performance.now())
  const { shards: pieces, ...others } = await gatherEvidence(db, db, bucket, run, { ...room, throttle: unthrottled })
  const looked = await Array.fromAsync(pieces)
  lap()
  const blocked = monitorEventLoopDelay({ resolution: 1 })
  blocked.enable()
  const { evidence, seen } = addUpEvidence(plainShop, { ...others, shards: looked })
  const findings = await judgeRun(run, evidence)
  lap()
  composeVerdict(run, run, { findings, seen, changes: undefined, objections: [] }, new Date())
  lap()
  await giveWay()
  blocked.disable()
  const [gatherMs = 0, judgeMs = 0, composeMs = 0] = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  return { manifests: MANIFESTS, gatherMs, judgeMs, composeMs, blockedMs: blocked.max / 1e6, findings: findings.length }
}
