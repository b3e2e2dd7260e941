import { Temporal } from "temporal-polyfill"
import type { Totals } from "../../../shared/day/totals.ts"
import { formatAmount } from "../../../shared/terminal/render-amount.ts"

/** `Tuesday 24 November`, of another year with it. */
export function formatDate(date: string): string {
  return new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" })
    .format(new Date(`${date}T00:00:00Z`))
    .replace(",", "")
}

/** `00:12` on the date that one expects, else `25 November 00:12`; of the hour that comes twice with its offset. */
export function formatClock(at: Date, expected: string, timeZone: string): string {
  const time = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone)
  const clock = time.toPlainTime().toString({ smallestUnit: "minute" })
  const local = time.toPlainDateTime()
  const isTwice =
    local.toZonedDateTime(timeZone, { disambiguation: "earlier" }).epochMilliseconds !==
    local.toZonedDateTime(timeZone, { disambiguation: "later" }).epochMilliseconds
  const withOffset = isTwice ? `${clock} (UTC${time.offset})` : clock
  const date = time.toPlainDate().toString()
  if (date === expected) return withOffset
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", timeZone: "UTC" }).format(
    new Date(`${date}T00:00:00Z`),
  )
  return `${day} ${withOffset}`
}

/** `2026-11-25 00:12`, in the time zone. */
export function formatInstant(at: Date, timeZone: string): string {
  const time = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone)
  return time.toPlainDateTime().toString({ smallestUnit: "minute" }).replace("T", " ")
}

const MINUTE_MS = 60_000

/** `48 min`, `5 h 48 min`, `3 days`: what a person would say. */
export function formatRoughly(ms: number): string {
  const minutes = Math.round(ms / MINUTE_MS)
  if (minutes < 1) return "less than a minute"
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.round(hours / 24)} days`
}

/** `+3.2 %` of what was before; undefined where there was nothing. */
export function formatShare(after: bigint, before: bigint): string | undefined {
  if (before === 0n) return undefined
  const permille = ((after - before) * 1_000n) / (before < 0n ? -before : before)
  const sign = permille < 0n ? "−" : "+"
  const size = permille < 0n ? -permille : permille
  return `${sign}${size / 10n}.${size % 10n} %`
}

/** `1,234.05`, or where there are currencies `1,234.05 EUR and 20.00 USD`. */
export function formatTotals({ amountCents, parts }: Pick<Totals, "amountCents" | "parts">, scale: number): string {
  if (amountCents !== undefined) return formatAmount(amountCents, scale)
  const amounts = parts.map((part) => `${formatAmount(part.amountCents, scale)} ${part.currency || "without currency"}`)
  return amounts.length === 0 ? "nothing" : amounts.join(" and ")
}
