import { and, eq, isNotNull, or, type SQL, sql } from "drizzle-orm"
import type { AnyMySqlColumn } from "drizzle-orm/mysql-core"
import { audits, backfillDays, runs, shards } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { decidedStates, inStates } from "../runs/run-transitions.ts"
import { ofShard } from "../shards/find-shards.ts"

/** A text of the ledger that has a user's key in it: it may be about the user. */
export interface Mention {
  /** What the text is of, as a person would name it. */
  where: string
  text: string
  /** JSON is a document; a sentence is why something failed. */
  kind: "json" | "sentence"
  /** Returns false, having changed nothing, if the row is not as it was when it was listed. */
  replace: (text: string) => Promise<boolean>
}

/** All dates of which the ledger knows anything. */
export async function listKnownDates(db: Database): Promise<string[]> {
  const ofRuns = await db.selectDistinct({ date: runs.revenueDate }).from(runs)
  const ofAudits = await db.selectDistinct({ date: audits.revenueDate }).from(audits)
  return [...new Set([...ofRuns, ...ofAudits].map(({ date }) => date))].toSorted()
}

/** The texts of a date that have one of these forms of a user's key in them. */
export async function listMentions(db: Database, date: string, forms: readonly string[]): Promise<Mention[]> {
  const lists = [listVerdicts, listAudits, listReasons, listErrors].map((list) => list(db, date, forms))
  return (await Promise.all(lists)).flat()
}

// Every statement that replaces a text names the state, the dispatch or the epoch that the text was read with, and the text
// itself: what another process has written meanwhile stays, and the next erasure reads it.

async function listVerdicts(db: Database, date: string, forms: readonly string[]): Promise<Mention[]> {
  const { runId, dispatch, verdict, revenueDate } = runs
  const found = await db
    .select({ runId, dispatch, verdict })
    .from(runs)
    .where(and(eq(revenueDate, date), holds(verdict, forms)))
  return found.map((run) => ({
    where: `run ${run.runId}`,
    text: run.verdict ?? "",
    kind: "json",
    replace: async (text) => {
      const isSame = and(eq(runId, run.runId), eq(dispatch, run.dispatch), eq(verdict, run.verdict ?? ""))
      // Of a verdict that is not announced yet, the document is still to be written from this text.
      const isSettled = and(inStates(decidedStates), isNotNull(runs.announcedAt))
      return matchedRows(await db.update(runs).set({ verdict: text }).where(and(isSame, isSettled))) > 0
    },
  }))
}

async function listAudits(db: Database, date: string, forms: readonly string[]): Promise<Mention[]> {
  const { auditId, state, document, revenueDate } = audits
  const found = await db
    .select({ auditId, state, document })
    .from(audits)
    .where(and(eq(revenueDate, date), holds(document, forms)))
  return found.map((audit) => ({
    where: `audit ${audit.auditId}`,
    text: audit.document ?? "",
    kind: "json",
    replace: async (text) => {
      const isSame = and(eq(auditId, audit.auditId), eq(state, audit.state), eq(document, audit.document ?? ""))
      return matchedRows(await db.update(audits).set({ document: text }).where(isSame)) > 0
    },
  }))
}

/** Why a day of a backfill failed. */
async function listReasons(db: Database, date: string, forms: readonly string[]): Promise<Mention[]> {
  const { backfillId, state, reason, revenueDate } = backfillDays
  const found = await db
    .select({ backfillId, state, reason })
    .from(backfillDays)
    .where(and(eq(revenueDate, date), holds(reason, forms)))
  return found.map((day) => ({
    where: `backfill ${day.backfillId}`,
    text: day.reason ?? "",
    kind: "sentence",
    replace: async (text) => {
      const isDay = and(eq(backfillId, day.backfillId), eq(revenueDate, date))
      const isSame = and(isDay, eq(state, day.state), eq(reason, day.reason ?? ""))
      return matchedRows(await db.update(backfillDays).set({ reason: text }).where(isSame)) > 0
    },
  }))
}

/** Why a shard failed. */
async function listErrors(db: Database, date: string, forms: readonly string[]): Promise<Mention[]> {
  const { runId, shardIndex, epoch, error } = shards
  const found = await db
    .select({ runId, shardIndex, epoch, error })
    .from(shards)
    .innerJoin(runs, eq(runs.runId, runId))
    .where(and(eq(runs.revenueDate, date), isNotNull(error), holds(error, forms)))
  return found.map((shard) => ({
    where: `shard ${shard.shardIndex} of run ${shard.runId}`,
    text: shard.error ?? "",
    kind: "sentence",
    replace: async (text) => {
      const isSame = and(ofShard(shard.runId, shard.shardIndex), eq(epoch, shard.epoch), eq(error, shard.error ?? ""))
      return matchedRows(await db.update(shards).set({ error: text }).where(isSame)) > 0
    },
  }))
}

const holds = (column: AnyMySqlColumn, forms: readonly string[]): SQL | undefined =>
  or(...forms.map((form) => sql`INSTR(${column}, ${form}) > 0`))
