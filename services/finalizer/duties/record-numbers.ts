import type { Database } from "../../../shared/database/open-database.ts"
import { addDays, instantOf } from "../../../shared/day/revenue-day.ts"
import { listWindow } from "../../../shared/ledger/days/list-days.ts"
import { findNewestShown } from "../../../shared/ledger/days/published-days.ts"
import { recordDays } from "../../../shared/telemetry/metrics.ts"

export interface NumbersContext {
  db: Database
  night: { REVENUE_TIME_ZONE: string; FIRST_DATE?: string | undefined }
  /** Metrics are exported. */
  hasMetrics: boolean
  now: () => Date
}

/** What the metrics say of the days. */
export async function recordDayMetrics({ db, night, hasMetrics, now }: NumbersContext): Promise<void> {
  if (!hasMetrics) return
  const { REVENUE_TIME_ZONE: timeZone, FIRST_DATE: firstDate } = night
  const { days } = await listWindow(db, { timeZone, firstDate }, {}, now())
  const newest = await findNewestShown(db)
  const endedAt = newest === undefined ? undefined : instantOf(addDays(newest, 1), "00:00", timeZone)
  recordDays(
    days.map(({ state }) => state),
    endedAt && now().getTime() - endedAt.getTime(),
  )
}
