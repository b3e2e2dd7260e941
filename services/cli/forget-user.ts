import { randomUUID } from "node:crypto"
import pMap from "p-map"
import { openShop, type Shop } from "../../schemas/database/shop.ts"
import { parseUserId, type UserId } from "../../schemas/database/user-type.ts"
import { type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { readShopTotals, readUser } from "../../shared/day/read-totals.ts"
import { findVersions, type UserVersion } from "../../shared/day/user-versions.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { beginErasure, endErasure, eraseRows, findReasonToWait } from "../../shared/ledger/erasures/erasures.ts"
import { listKnownDates } from "../../shared/ledger/erasures/list-mentions.ts"
import { findNewestRun } from "../../shared/ledger/runs/find-runs.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { formatCount, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { CommandError } from "./explain-error.ts"
import { type DocumentsPlace, forgetInDocuments, runOf } from "./forget-in-documents.ts"
import { findBounds, forgetInDuties, forgetInLedger } from "./forget-in-ledger.ts"
import { type Forgotten, mentions } from "./scrub-text.ts"
import { readForgetConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"
import { whoAsks } from "./who-asks.ts"

export interface ForgetOptions {
  dryRun: boolean
  json: boolean
  note: string | undefined
}

interface Place extends DocumentsPlace {
  db: Database
  shop: Shop
  erasureId: string
}

/** What was, or would be, erased. */
interface Erased {
  versions: { date: string; version: number; rows: number }[]
  documents: string[]
  /** Texts and ranges of the ledger. */
  ledgerEntries: number
  /** What still tells of the user, and why. */
  left: { where: string; reason: string }[]
}

const DATES_AT_ONCE = 4

const CHANGED_MEANWHILE = "it changed while the user was being erased: run the same command again"

const NOBODY_NEXT = "a shard begins at the user, and nobody comes after: it goes with the run, after RETENTION_DAYS"

/**
 * `daybook forget`: deletes what Daybook holds of a user whom the shop has erased. Each date's documents go first, then what
 * the ledger says, then the rows: whatever is cut short is found again by the next.
 */
export async function forgetUser(text: string, options: ForgetOptions, terminal: Terminal): Promise<number> {
  const { env, signal } = terminal
  const config = readForgetConfig(env)
  const shop = openShop(config.SHOP_FILE)
  const userId = parseUser(shop, text)
  const asker = whoAsks(options.note, env)
  if (mentions(asker.note ?? "", String(userId))) throw new CommandError("The note is kept: leave the user out of it.")
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: DATES_AT_ONCE + 1 })
  const shopDatabase = await openSource(config, database, 1)
  const place: Place = {
    db: database.db,
    shop,
    bucket: openBucket(config),
    options: { log: await createLog("cli", "silent"), signal },
    erasureId: randomUUID(),
    dryRun: options.dryRun,
  }
  try {
    const versions = await findVersions(place.db, shop, userId)
    await refuseWhileInShop(place, shopDatabase.db, userId, versions)
    if (!options.dryRun) await beginErasure(place.db, place.erasureId, asker)
    const erased: Erased = { versions: [], documents: [], ledgerEntries: 0, left: [] }
    const spellings = [...new Set([String(userId), ...versions.map(({ key }) => key)])]
    const dates = [...new Set([...(await listKnownDates(place.db)), ...versions.map((of) => of.revenueDate)])]
    let looked = 0
    await pMap(
      dates,
      async (date) => {
        signal.throwIfAborted()
        const ofDate = versions.filter(({ revenueDate }) => revenueDate === date)
        await forgetDate(place, date, userId, { spellings }, ofDate, erased)
        if (++looked % 50 === 0)
          terminal.stderr.write(`${formatCount(looked)} of ${formatNumberOf(dates.length, "day")}\n`)
      },
      { concurrency: DATES_AT_ONCE },
    )
    erased.ledgerEntries += await forgetInDuties(place.db, { spellings }, options.dryRun)
    if (!options.dryRun && erased.left.length === 0) await endErasure(place.db, place.erasureId)
    printErased(place, erased, options.json, terminal)
    return erased.left.length === 0 ? exitCodes.ok : exitCodes.failed
  } catch (error) {
    if (signal.aborted) return exitCodes.interrupted
    throw error
  } finally {
    await Promise.all([database.close(), shopDatabase.close()])
  }
}

function parseUser({ layout }: Shop, text: string): UserId {
  const { userType } = layout
  try {
    return parseUserId(userType, userType.kind === "bytes" ? text.toUpperCase() : text)
  } catch {
    throw new CommandError(`${text} is no user of this shop, whose users are ${userType.sql}: see SHOP_FILE.`)
  }
}

/** What the shop still has would come back with the next run of its date. */
async function refuseWhileInShop(
  { db, shop }: Place,
  shopDb: Database,
  userId: UserId,
  versions: UserVersion[],
): Promise<void> {
  const dates = [...new Set(versions.map(({ revenueDate }) => revenueDate))].toSorted()
  const still: string[] = []
  for (const date of dates) {
    const run = await findNewestRun(db, date)
    if (!run) continue
    if ((await readUser(readShopTotals(shopDb, { ...run, shop }), userId)).length > 0) still.push(date)
  }
  if (still.length === 0) return
  const others = still.length === 1 ? "" : ` and of ${formatNumberOf(still.length - 1, "other day")}`
  throw new CommandError(
    `The shop still has purchases of this user, of ${still[0]}${others}, and the next run of the day would bring them back: erase them in the shop first. Nothing was erased.`,
  )
}

async function forgetDate(
  place: Place,
  date: string,
  userId: UserId,
  who: Forgotten,
  versions: UserVersion[],
  erased: Erased,
): Promise<void> {
  const { db, shop, erasureId } = place
  const wait = await findReasonToWait(db, date)
  const dryRun = place.dryRun || wait !== undefined
  const bounds = await findBounds(db, shop, date, who)
  const { documents, kept } = await forgetInDocuments({ ...place, dryRun }, date, who, bounds)
  // By the ledger the others of a run are found again.
  for (const { path } of kept) bounds.delete(runOf(path))
  const entries = await forgetInLedger(db, date, who, bounds, dryRun)
  const rows: Erased["versions"] = []
  for (const { revenueDate, version } of versions) {
    const count = dryRun ? 1 : await eraseRows(db, erasureId, { shop, revenueDate, version }, userId)
    if (count > 0) rows.push({ date, version, rows: count })
  }
  // A run that began in between may have read what was there before.
  const late = wait ?? (await findReasonToWait(db, date))
  if (late && (late.isAtWork || (wait && rows.length + documents.length + entries.changed > 0))) {
    erased.left.push({ where: date, reason: late.reason })
  }
  erased.left.push(...kept.map(({ path, reason }) => ({ where: `gs://${place.bucket.name}/${path}`, reason })))
  erased.left.push(...entries.kept.map((where) => ({ where, reason: CHANGED_MEANWHILE })))
  for (const [runId, { nextKey }] of bounds) {
    if (nextKey === undefined) erased.left.push({ where: runId, reason: NOBODY_NEXT })
  }
  if (wait) return
  erased.versions.push(...rows)
  erased.documents.push(...documents)
  erased.ledgerEntries += entries.changed
}

function printErased({ dryRun, erasureId }: Place, erased: Erased, json: boolean, terminal: Terminal): void {
  const { ledgerEntries, left } = erased
  const documents = erased.documents.toSorted()
  const versions = erased.versions.toSorted((a, b) =>
    a.date < b.date ? -1 : a.date > b.date ? 1 : a.version - b.version,
  )
  const rows = versions.reduce((sum, of) => sum + of.rows, 0)
  const days = new Set(versions.map(({ date }) => date)).size
  const counts = `${formatNumberOf(rows, "row")} of ${formatNumberOf(days, "day")}, ${formatNumberOf(documents.length, "document")} and ${formatCount(ledgerEntries)} ${ledgerEntries === 1 ? "entry" : "entries"} of the ledger that told of the user`
  const table = renderTable(
    [{ title: "DATE" }, { title: "VERSION", align: "right" }, { title: "ROWS", align: "right" }],
    versions.map((of) => [of.date, String(of.version), String(of.rows)]),
  )
  printResult(terminal, json, { ...(dryRun ? { dryRun } : { erasureId }), versions, documents, ledgerEntries, left }, [
    dryRun ? `would be erased: ${counts}` : `erased: ${counts} (erasure ${erasureId})`,
    ...(versions.length > 0 ? table : []),
    ...left.map(({ where, reason }) => `left: ${where}: ${reason}`),
  ])
}
