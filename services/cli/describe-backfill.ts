import type { Database } from "../../shared/database/open-database.ts"
import { type Backfill, countBackfillDays } from "../../shared/ledger/backfills/backfills.ts"
import { formatNumberOf } from "../../shared/terminal/render-numbers.ts"

/** `backfill 1795…: 12 of 60 days done, 1 failed, 2 at work`. */
export async function describeBackfill(db: Database, { backfillId, state }: Backfill): Promise<string> {
  const { waiting, asked, done, failed, cancelled } = await countBackfillDays(db, backfillId)
  const all = formatNumberOf(waiting + asked + done + failed + cancelled, "day")
  const parts = [`${done} of ${all} done`, `${failed} failed`, `${asked} at work`]
  return `backfill ${backfillId}${state === "cancelled" || state === "paused" ? ` (${state})` : ""}: ${parts.join(", ")}`
}
