import { Temporal } from "temporal-polyfill"
import type { ShopSource } from "../../schemas/database/shop.ts"

/** The instants of a day, and in which time zone it is one. */
export interface Bounds {
  /** First instant, inclusive. */
  fromAt: Date
  /** First instant after it. */
  toAt: Date
  /** In which the date is a day. */
  timeZone: string
}

export const MS_PER_DAY = 86_400_000

/**
 * The bounds of a day by the clock of a source: UTC, or the day's own time zone, in which it is from midnight to midnight
 * whether it has 23 hours or 25.
 */
export function clockBounds({ layout }: ShopSource, { fromAt, toAt, timeZone }: Bounds): { fromAt: Date; toAt: Date } {
  if (!layout.isLocalTime) return { fromAt, toAt }
  return { fromAt: toWallClock(fromAt, timeZone), toAt: toWallClock(toAt, timeZone) }
}

/** What a clock shows at an instant, as if it showed UTC. */
function toWallClock(instant: Date, timeZone: string): Date {
  const shown = Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(timeZone)
  return new Date(shown.toPlainDateTime().toZonedDateTime("UTC").epochMilliseconds)
}
