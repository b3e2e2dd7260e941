import { and, eq, gt, inArray, isNotNull, or, type SQL, sql } from "drizzle-orm"
import type { AnyMySqlColumn } from "drizzle-orm/mysql-core"
import { audits, backfillDays, runs, shards } from "../../schemas/database/ledger.ts"
import type { Shop } from "../../schemas/database/shop.ts"
import { parseUserId, selectUser, type UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { inTransaction } from "../../shared/database/transaction.ts"
import { inRange, type RevenueVersion } from "../../shared/day/revenue-rows.ts"
import { listDutyErrors, replaceDutyError } from "../../shared/ledger/duties/duties.ts"
import { ofShard } from "../../shared/ledger/shards/find-shards.ts"
import { ofUser } from "../../shared/range.ts"
import { type Forgotten, listForms, mentions, scrubJson, scrubSentence } from "./scrub-text.ts"

/** A version in which a user has rows, with the key as the rows have it. */
export interface UserVersion extends Omit<RevenueVersion, "shop"> {
  key: string
}

// An OR of so many keys is looked up as such by both servers.
const VERSIONS_PER_STATEMENT = 200

/** Finds the versions in which a user has rows, by one look into the key for each version that there is. */
export async function findVersions(db: Database, shop: Shop, userId: UserId): Promise<UserVersion[]> {
  const { revenueDate, version, userId: user } = shop.revenue.table
  // Both servers skip from group to group.
  const versions = await db.select({ revenueDate, version }).from(shop.revenue.table).groupBy(revenueDate, version)
  const found: UserVersion[] = []
  for (let at = 0; at < versions.length; at += VERSIONS_PER_STATEMENT) {
    const looks = versions.slice(at, at + VERSIONS_PER_STATEMENT).map((of) => inRange({ ...of, shop }, ofUser(userId)))
    const key = selectUser(shop.layout.userType, sql`${user}`)
    const rows = allRows<{ date: string; version: number; key: string | number }>(
      await db.execute(
        sql`SELECT DISTINCT CAST(${revenueDate} AS CHAR) AS date, ${version} AS version, ${key} AS \`key\`
          FROM ${shop.revenue.table} WHERE ${or(...looks)}`,
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
  shop: Shop,
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
    nextKeys.set(runId, from === null ? undefined : await findNextKey(db, { shop, revenueDate: date, version }, from))
  }
  return nextKeys
}

/** The next user of a version: nobody is between, so that no row changes its shard. */
async function findNextKey(db: Database, of: RevenueVersion, key: string): Promise<string | undefined> {
  const { layout, revenue } = of.shop
  const userId = parseUserId(layout.userType, key)
  const column = revenue.table.userId
  const [row] = await db
    .select({ userId: column })
    .from(revenue.table)
    .where(and(inRange(of, {}), gt(column, userId)))
    .orderBy(column)
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
  for (const list of [listVerdicts, listAudits, listReasons, listErrors]) {
    for (const { text, scrub, write } of await list(db, date, who)) {
      const scrubbed = scrub(text ?? "", who)
      if (scrubbed === (text ?? "")) continue
      changed++
      if (!dryRun) await write(scrubbed)
    }
  }
  for (const [runId, nextKey] of nextKeys) {
    if (nextKey === undefined) continue
    changed++
    if (!dryRun) await moveBound(db, runId, nextKey, who)
  }
  return changed
}

/** A text that may be about a user. */
interface LedgerText {
  text: string | null
  scrub: (text: string, who: Forgotten) => string
  write: (text: string) => PromiseLike<unknown>
}

async function listVerdicts(db: Database, date: string, who: Forgotten): Promise<LedgerText[]> {
  const { runId, verdict, revenueDate } = runs
  const found = await db
    .select({ runId, verdict })
    .from(runs)
    .where(and(eq(revenueDate, date), holds(verdict, who)))
  return found.map((run) => ({
    text: run.verdict,
    scrub: scrubJson,
    write: (text) => db.update(runs).set({ verdict: text }).where(eq(runId, run.runId)),
  }))
}

async function listAudits(db: Database, date: string, who: Forgotten): Promise<LedgerText[]> {
  const { auditId, document, revenueDate } = audits
  const found = await db
    .select({ auditId, document })
    .from(audits)
    .where(and(eq(revenueDate, date), holds(document, who)))
  return found.map((audit) => ({
    text: audit.document,
    scrub: scrubJson,
    write: (text) => db.update(audits).set({ document: text }).where(eq(auditId, audit.auditId)),
  }))
}

/** Why a day of a backfill failed. */
async function listReasons(db: Database, date: string, who: Forgotten): Promise<LedgerText[]> {
  const { backfillId, reason, revenueDate } = backfillDays
  const ofDate = eq(revenueDate, date)
  const found = await db
    .select({ backfillId, reason })
    .from(backfillDays)
    .where(and(ofDate, holds(reason, who)))
  return found.map((day) => ({
    text: day.reason,
    scrub: scrubSentence,
    write: (text) =>
      db
        .update(backfillDays)
        .set({ reason: text })
        .where(and(ofDate, eq(backfillId, day.backfillId))),
  }))
}

/** Why a shard failed. */
async function listErrors(db: Database, date: string, who: Forgotten): Promise<LedgerText[]> {
  const { runId, shardIndex, error } = shards
  const found = await db
    .select({ runId, shardIndex, error })
    .from(shards)
    .innerJoin(runs, eq(runs.runId, runId))
    .where(and(eq(runs.revenueDate, date), isNotNull(error), holds(error, who)))
  return found.map((shard) => ({
    text: shard.error,
    scrub: scrubSentence,
    write: (text) => db.update(shards).set({ error: text }).where(ofShard(shard.runId, shard.shardIndex)),
  }))
}

/** Why a duty of the sweep failed, whatever the date; returns how many of these errors named the user. */
export async function forgetInDuties(db: Database, { spellings }: Forgotten, dryRun: boolean): Promise<number> {
  const naming = (await listDutyErrors(db)).filter(({ lastError }) => spellings.some((key) => mentions(lastError, key)))
  if (!dryRun) for (const error of naming) await replaceDutyError(db, error, "an error that named a forgotten user")
  return naming.length
}

/** The end of one shard and the beginning of the next. */
async function moveBound(db: Database, runId: string, nextKey: string, { spellings }: Forgotten): Promise<void> {
  await inTransaction(db, async (tx) => {
    for (const [column, field] of [
      [shards.rangeFrom, "rangeFrom"],
      [shards.rangeTo, "rangeTo"],
    ] as const) {
      const atUser = isOneOf(sql`${column}`, spellings)
      await tx
        .update(shards)
        .set({ [field]: nextKey })
        .where(and(eq(shards.runId, runId), atUser))
    }
  })
}

const holds = (column: AnyMySqlColumn, who: Forgotten) =>
  or(...listForms(who).map((form) => sql`INSTR(${column}, ${form}) > 0`))

/** As the ledger writes keys, whatever the type of the shop's users. */
const isOneOf = (column: SQL, spellings: readonly string[]) => inArray(column, [...spellings])
