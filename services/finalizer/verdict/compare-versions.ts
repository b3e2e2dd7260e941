import type { Bucket } from "@google-cloud/storage"
import type { Database } from "../../../shared/database/open-database.ts"
import { formatChange, listChanges } from "../../../shared/day/list-changes.ts"
import { type CheckedRows, sumRows } from "../../../shared/day/revenue-rows.ts"
import { type ChangeTally, createTally } from "../../../shared/day/tally-changes.ts"
import { addTotals, noRows } from "../../../shared/day/totals.ts"
import { changesPath } from "../../../shared/documents/document-paths.ts"
import { streamDocument } from "../../../shared/documents/documents.ts"
import { findPublishedDay } from "../../../shared/ledger/days/published-days.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import type { Range } from "../../../shared/range.ts"
import type { RetryOptions } from "../../../shared/retry.ts"
import type { Seen } from "../proof/add-up-evidence.ts"

/** What a version changes of the one that readers see before it is published. */
export interface VersionChanges extends ChangeTally {
  fromVersion: number
  /** Minor units; undefined where there are currencies. */
  amountCentsBefore: bigint | undefined
  amountCentsAfter: bigint | undefined
  /** gs:// URI of the document with every change; undefined if nothing differs. */
  document: string | undefined
}

/**
 * Compares the rows of a run whose evidence is sound with those of the version that it is about to replace; undefined if
 * readers see none. The old rows are added up by the new run's ranges and checksums, and users are looked at only where
 * these differ. Until the run is decided readers see no other version, for a date has one unfinished run at a time.
 */
export async function compareVersions(
  db: Database,
  bucket: Bucket,
  run: ShopRun,
  { ranges, rows }: Pick<Seen, "ranges" | "rows">,
  options: RetryOptions,
): Promise<VersionChanges | undefined> {
  const shown = await findPublishedDay(db, run.revenueDate)
  if (!shown || shown.version >= run.version) return undefined
  const old = { ...run, version: shown.version }
  const oldTotals = await sumRows(db, old, ranges)
  const differing = ranges.filter((_range, at) => !isSame(oldTotals[at], rows[at]))
  const path = changesPath(run.runId)
  const written =
    differing.length > 0 ? await writeChanges(db, bucket, path, run, shown.version, differing, options) : undefined
  const { added, changed, removed, largest } = written?.tally ?? createTally()
  return {
    fromVersion: shown.version,
    added,
    changed,
    removed,
    largest,
    amountCentsBefore: addUp(run, oldTotals),
    amountCentsAfter: addUp(run, rows),
    document: written && `gs://${bucket.name}/${written.path}`,
  }
}

/** Writes every change as it is found, a line each, and adds them up. */
async function writeChanges(
  db: Database,
  bucket: Bucket,
  path: string,
  run: ShopRun,
  shownVersion: number,
  ranges: Range[],
  options: RetryOptions,
): Promise<{ tally: ChangeTally; path: string }> {
  let tally = createTally()
  async function* lines() {
    // Each try writes, and counts, from the beginning.
    tally = createTally()
    const versions = { before: shownVersion, after: run.version }
    for await (const change of listChanges(db, run.shop, run.revenueDate, versions, ranges)) {
      tally.add(change)
      yield `${formatChange(change)}\n`
    }
  }
  const written = await streamDocument(bucket, path, lines, options)
  return { tally, path: written }
}

function isSame(a: CheckedRows | undefined, b: CheckedRows | undefined): boolean {
  const [x, y] = [a?.totals, b?.totals]
  return x?.rows === y?.rows && x?.purchases === y?.purchases && a?.checksum === b?.checksum
}

function addUp({ shop }: ShopRun, rows: CheckedRows[]): bigint | undefined {
  return rows.map(({ totals }) => totals).reduce(addTotals, noRows(shop.layout)).amountCents
}
