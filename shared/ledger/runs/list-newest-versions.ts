import { desc, eq, sql } from "drizzle-orm"
import { type RunState, runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

/** A run of the date as a line of its history. */
export interface VersionSummary {
  runId: string
  version: number
  state: RunState
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

/** The newest versions, with a few numbers out of their verdicts, which may be long and stay in the database. */
export async function listNewestVersions(db: Database, date: string, limit: number): Promise<VersionSummary[]> {
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
    .limit(limit)
  return rows.map(({ fromVersion, added, changed, removed, users, purchases, amountCents, ...row }) => ({
    ...row,
    users: users ?? undefined,
    purchases: purchases ?? undefined,
    amountCents: amountCents ?? undefined,
    changes:
      fromVersion === null
        ? undefined
        : { fromVersion: Number(fromVersion), added: added ?? "0", changed: changed ?? "0", removed: removed ?? "0" },
  }))
}
