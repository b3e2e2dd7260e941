import { type Verdict, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { MalformedError, parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { type Day, listDays, missingDay } from "../../shared/ledger/days/list-days.ts"
import { findRun } from "../../shared/ledger/runs/find-runs.ts"
import { listNewestVersions, type VersionSummary } from "../../shared/ledger/runs/list-newest-versions.ts"
import { countShards } from "../../shared/ledger/shards/find-shards.ts"
import {
  listShardLines,
  listShardStrip,
  type ShardLine,
  type StripCell,
} from "../../shared/ledger/shards/list-shard-lines.ts"

/** A run of the date as a line of its history. */
export interface Version extends VersionSummary {
  isShown: boolean
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
  const [[known], newest] = await Promise.all([listDays(db, date, date), listNewestVersions(db, date, VERSIONS_MAX)])
  const day = known ?? missingDay(date)
  const versions = newest.map((version) => ({ ...version, isShown: version.version === day.shown?.version }))
  const version = versions.find((other) => other.version === wanted) ?? versions[0]
  if (!version)
    return { day, versions, version, verdict: undefined, strip: [], shards: [], shardPage: 1, shardPages: 0 }
  const [verdict, total] = await Promise.all([readVerdict(db, version.runId), countShards(db, version.runId)])
  const shardPages = Math.ceil(total / SHARDS_PER_PAGE)
  const page = Math.min(Math.max(1, shardPage), Math.max(1, shardPages))
  const [strip, lines] = await Promise.all([
    listShardStrip(db, version.runId, Math.max(1, Math.ceil(total / STRIP_CELLS_MAX))),
    listShardLines(db, version.runId, { limit: SHARDS_PER_PAGE, offset: (page - 1) * SHARDS_PER_PAGE }),
  ])
  return { day, versions, version, verdict, strip, shards: lines, shardPage: page, shardPages }
}

async function readVerdict(db: Database, runId: string): Promise<Verdict | string | undefined> {
  const run = await findRun(db, runId)
  if (!run?.verdict) return undefined
  try {
    return parseDocument(VerdictSchema, run.verdict)
  } catch (error) {
    // The rest of the page is worth having.
    if (error instanceof MalformedError) return `The verdict cannot be read: ${error.message}`
    throw error
  }
}
