import { and, eq, getTableColumns, gt, inArray, isNotNull, or, type SQL, sql } from "drizzle-orm"
import type { AnyMySqlColumn } from "drizzle-orm/mysql-core"
import { audits, backfillDays, runs, shards } from "../../schemas/database/ledger.ts"
import { revenueVersions } from "../../schemas/database/revenue.ts"
import { shopLayout } from "../../schemas/database/shop.ts"
import { parseUserId, selectUser, type UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import type { RevenueVersion } from "../../shared/day/revenue-rows.ts"
import { inRange } from "../../shared/day/revenue-rows.ts"
import { ofUser } from "../../shared/range.ts"
import { type Forgotten, scrubJson, scrubSentence } from "./scrub-text.ts"

/** A version in which a user has rows, with the key as the rows have it. */
export interface UserVersion extends RevenueVersion {
  key: string
}

// An OR of so many keys is looked up as such by both servers.
const VERSIONS_PER_STATEMENT = 200

/** Finds the versions in which a user has rows, by one look into the key for each version that there is. */
export async function findVersions(db: Database, userId: UserId): Promise<UserVersion[]> {
  const { revenueDate, version } = revenueVersions
  // Both servers skip from group to group.
  const versions = await db.select({ revenueDate, version }).from(revenueVersions).groupBy(revenueDate, version)
  const found: UserVersion[] = []
  for (let at = 0; at < versions.length; at += VERSIONS_PER_STATEMENT) {
    const looks = versions.slice(at, at + VERSIONS_PER_STATEMENT).map((of) => inRange(of, ofUser(userId)))
    const key = selectUser(shopLayout.userType, sql`${revenueVersions.userId}`)
    const rows = allRows<{ date: string; version: number; key: string | number }>(
      await db.execute(
        sql`SELECT DISTINCT CAST(${revenueDate} AS CHAR) AS date, ${version} AS version, ${key} AS \`key\`
          FROM ${revenueVersions} WHERE ${or(...looks)}`,
      ),
    )
    found.push(...rows.map((row) => ({ revenueDate: row.date, version: row.version, key: String(row.key) })))
  }
  return found
}

/** All dates of which the ledger knows anything. */
export async function listDates(db: Database): Promise<string[]> {
  const ofRuns = await db.selectDistinct({ date: runs.revenueDate }).from(runs)
  const ofAudits = await db.selectDistinct({ date: audits.revenueDate }).from(audits)
  return [...new Set([...ofRuns, ...ofAudits].map(({ date }) => date))].toSorted()
}

/** Of each run of a date of which a shard begins or ends at a user: the key at which it may do so instead. */
export async function findBounds(
  db: Database,
  date: string,
  { spellings }: Forgotten,
): Promise<Map<string, string | undefined>> {
  const bounds = await db
    .selectDistinct({ runId: runs.runId, version: runs.version, from: shards.rangeFrom })
    .from(runs)
    .innerJoin(shards, eq(shards.runId, runs.runId))
    .where(and(eq(runs.revenueDate, date), isOneOf(sql`${shards.rangeFrom}`, spellings)))
  const nextKeys = new Map<string, string | undefined>()
  for (const { runId, version, from } of bounds) {
    nextKeys.set(runId, from === null ? undefined : await findNextKey(db, { revenueDate: date, version }, from))
  }
  return nextKeys
}

/** The next user of a version: nobody is between, so that no row changes its shard. */
async function findNextKey(db: Database, of: RevenueVersion, userId: UserId): Promise<string | undefined> {
  const [row] = await db
    .select({ userId: revenueVersions.userId })
    .from(revenueVersions)
    .where(and(inRange(of, {}), gt(revenueVersions.userId, userId)))
    .orderBy(revenueVersions.userId)
    .limit(1)
  if (row) return String(row.userId)
  return typeof userId === "bigint" ? String(userId + 1n) : undefined
}

/** Takes a user out of the texts and ranges that the ledger has of a date; returns how many were about the user. */
export async function forgetInLedger(
  db: Database,
  date: string,
  who: Forgotten,
  nextKeys: ReadonlyMap<string, string | undefined>,
  dryRun: boolean,
): Promise<number> {
  let changed = 0
  const scrub = async (texts: { text: string | null; write: (text: string) => PromiseLike<unknown> }[], by: Scrub) => {
    for (const { text, write } of texts) {
      const scrubbed = text === null ? text : by(text, who)
      if (scrubbed === text || scrubbed === null) continue
      changed++
      if (!dryRun) await write(scrubbed)
    }
  }
  const { runId, verdict } = runs
  const ofDate = eq(runs.revenueDate, date)
  const verdicts = await db
    .select({ runId, verdict })
    .from(runs)
    .where(and(ofDate, mentions(verdict, who)))
  await scrub(
    verdicts.map((run) => ({
      text: run.verdict,
      write: (text) => db.update(runs).set({ verdict: text }).where(eq(runId, run.runId)),
    })),
    scrubJson,
  )
  const found = await db
    .select()
    .from(audits)
    .where(and(eq(audits.revenueDate, date), mentions(audits.document, who)))
  await scrub(
    found.map(({ auditId, document }) => ({
      text: document,
      write: (text) => db.update(audits).set({ document: text }).where(eq(audits.auditId, auditId)),
    })),
    scrubJson,
  )
  const reasons = await db
    .select()
    .from(backfillDays)
    .where(and(eq(backfillDays.revenueDate, date), mentions(backfillDays.reason, who)))
  await scrub(
    reasons.map(({ backfillId, reason }) => ({
      text: reason,
      write: (text) =>
        db
          .update(backfillDays)
          .set({ reason: text })
          .where(and(eq(backfillDays.backfillId, backfillId), eq(backfillDays.revenueDate, date))),
    })),
    scrubSentence,
  )
  const errors = await db
    .select(getTableColumns(shards))
    .from(shards)
    .innerJoin(runs, and(eq(runs.runId, shards.runId), ofDate))
    .where(and(isNotNull(shards.error), mentions(shards.error, who)))
  await scrub(
    errors.map((shard) => ({
      text: shard.error,
      write: (text) =>
        db
          .update(shards)
          .set({ error: text })
          .where(and(eq(shards.runId, shard.runId), eq(shards.shardIndex, shard.shardIndex))),
    })),
    scrubSentence,
  )
  for (const [boundRunId, nextKey] of nextKeys) {
    if (nextKey === undefined) continue
    changed++
    if (!dryRun) await moveBound(db, boundRunId, nextKey, who)
  }
  return changed
}

type Scrub = (text: string, who: Forgotten) => string

/** The end of one shard and the beginning of the next. */
async function moveBound(db: Database, runId: string, nextKey: string, { spellings }: Forgotten): Promise<void> {
  const key = parseUserId(shopLayout.userType, nextKey)
  await db.transaction(async (tx) => {
    for (const [column, field] of [
      [shards.rangeFrom, "rangeFrom"],
      [shards.rangeTo, "rangeTo"],
    ] as const) {
      const atUser = isOneOf(sql`${column}`, spellings)
      await tx
        .update(shards)
        .set({ [field]: key })
        .where(and(eq(shards.runId, runId), atUser))
    }
  })
}

const mentions = (column: AnyMySqlColumn, { spellings }: Forgotten) =>
  or(...spellings.map((key) => sql`INSTR(${column}, ${key}) > 0`))

/** As the ledger writes keys, whatever the type of the shop's users. */
const isOneOf = (column: SQL, spellings: readonly string[]) => inArray(column, [...spellings])
