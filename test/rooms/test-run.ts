import { randomBytes } from "node:crypto"
import { plainShop } from "../../schemas/database/shop.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { admitRun } from "../../shared/ledger/admit-run.ts"
import { createRun, type NewRun } from "../../shared/ledger/create-run.ts"
import { findRun, type Run, type ShopRun } from "../../shared/ledger/find-runs.ts"
import { offerShards } from "../../shared/ledger/offer-shards.ts"
import { openRun } from "../../shared/ledger/open-run.ts"
import type { Range } from "../../shared/range.ts"

export const testDate = "2026-11-22"

/** A run that could be begun on the test date in UTC, of a shop that declares nothing. */
export function newRun(overrides: Partial<NewRun> = {}): NewRun & Pick<ShopRun, "shop"> {
  const requestId = randomBytes(4).toString("hex")
  return {
    shop: plainShop,
    runId: `${overrides.revenueDate ?? testDate}-${requestId}`,
    revenueDate: testDate,
    requestId,
    timeZone: "UTC",
    fromAt: new Date("2026-11-22T00:00:00Z"),
    toAt: new Date("2026-11-23T00:00:00Z"),
    requestedAt: new Date("2026-11-23T01:00:00Z"),
    sourceIndex: "purchases_day_slice",
    accessPath: "day-slice",
    checksumMultipliers: "1073741825,1234567891,2147483647,1987654321",
    ...overrides,
  }
}

/** Ranges cut at these ids. */
export function cutAt(...ids: bigint[]): Range[] {
  return [undefined, ...ids].map((from, index) => ({ from, to: ids[index] }))
}

/** A run whose turn has come. */
export async function admitNewRun(db: Database, overrides: Partial<NewRun> = {}): Promise<ShopRun> {
  const { runId } = await createRun(db, newRun(overrides))
  return { ...((await admitRun(db, runId, Number.MAX_SAFE_INTEGER)) as Run), shop: plainShop }
}

/** Offers all shards of a run whose turn has come, or comes now. */
export async function openFirstDispatch(db: Database, run: Run, ranges: Range[]): Promise<void> {
  await admitRun(db, run.runId, Number.MAX_SAFE_INTEGER)
  await offerShards(db, run, 0, ranges.slice(0, -1), ranges.length)
  await openRun(db, run, ranges.length, ranges.at(-1) ?? {})
}

/** A run whose dispatch 0 is open. */
export async function beginRun(db: Database, ranges: Range[], overrides: Partial<NewRun> = {}): Promise<ShopRun> {
  const run = await createRun(db, newRun(overrides))
  await openFirstDispatch(db, run, ranges)
  return { ...((await findRun(db, run.runId)) as Run), shop: plainShop }
}
