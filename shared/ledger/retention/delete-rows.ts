import { eq, lt } from "drizzle-orm"
import { audits, dayChanges, dispatches, runs, shards } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"

// Each is one short transaction: replicas and other writers are not kept waiting.
const SHARDS_PER_DELETE = 5_000

const CHANGES_PER_DELETE = 1_000

/** Forgets a run. Its own row goes last, so that what is cut short is found again. */
export async function deleteRun(db: Database, runId: string): Promise<void> {
  const ofRun = eq(shards.runId, runId)
  while (matchedRows(await db.delete(shards).where(ofRun).limit(SHARDS_PER_DELETE)) === SHARDS_PER_DELETE);
  await db.delete(dispatches).where(eq(dispatches.runId, runId))
  await db.delete(runs).where(eq(runs.runId, runId))
}

export async function deleteAudit(db: Database, auditId: string): Promise<void> {
  await db.delete(audits).where(eq(audits.auditId, auditId))
}

/** Deletes some of it; returns how many. */
export async function deleteExpiredChanges(db: Database, before: Date): Promise<number> {
  return matchedRows(await db.delete(dayChanges).where(lt(dayChanges.sentAt, before)).limit(CHANGES_PER_DELETE))
}
