import type { DayChange, DayChange_Totals } from "../../schemas/messages/day_change_pb.ts"
import type { DayChangeRecord } from "../ledger/day-changes.ts"
import { formatAmount } from "../terminal/render-amount.ts"
import { formatCount } from "../terminal/render-numbers.ts"

export type DayState = DayChangeRecord["state"]

// A shop may have a hundred currencies; a person reads a few and then the page.
const CURRENCIES_MAX = 5

/**
 * What each state means to a person, after "The revenue of 2026-11-22 ". Nothing in it is somebody else's text but currency
 * codes: chat tools would take links and mentions from there.
 */
const sentences: Record<DayState, (change: DayChange) => string> = {
  shown: (change) =>
    change.auditId === undefined
      ? `is published: ${describeVersion(change.version, change.after)}`
      : `agrees with the shop again: ${describeVersion(change.version, change.after)}`,
  "shown-anew": (change) => `is published again: ${describeReplacement(change)}`,
  repaired: (change) => `is repaired: ${describeReplacement(change)}`,
  drifted: ({ version, before, after }) =>
    `has drifted: readers see ${describeVersion(version, before)}, and the shop now has ${describeTotals(after)}`,
  late: () => "is late: it was not published by its deadline",
  arrived: ({ version, after }) => `was late and is now published: ${describeVersion(version, after)}`,
  erased: ({ version, after }) => `has fewer rows, because a user was erased: ${describeVersion(version, after)}`,
  held: (change) =>
    `is held for review: ${describeVersion(change.version, change.after)} is not published${readersSee(change)}`,
  incomplete: (change) => `is incomplete: version ${change.version} could not be proven${readersSee(change)}`,
}

/** All states of which one may be notified. */
export const dayStates = Object.keys(sentences) as DayState[]

/** A change of a day as one plain sentence with its amounts. */
export function describeChange(change: DayChange): string {
  const describe = sentences[change.state as DayState] ?? (() => `has the state ${change.state}`)
  return `The revenue of ${change.date} ${describe(change)}.`
}

function describeVersion(version: number, totals: DayChange_Totals | undefined): string {
  return totals ? `version ${version} with ${describeTotals(totals)}` : `version ${version}`
}

function describeReplacement({ version, after, previousVersion, before }: DayChange): string {
  const now = describeVersion(version, after)
  return previousVersion === undefined ? now : `${now} replaces ${describeVersion(previousVersion, before)}`
}

function readersSee({ previousVersion, before }: DayChange): string {
  return `, and readers see ${previousVersion === undefined ? "no version" : describeVersion(previousVersion, before)}`
}

/** `242,514 purchases worth 15,717,660.66`, by currency where the shop declares these. */
function describeTotals(totals: DayChange_Totals | undefined): string {
  if (!totals) return "purchases that were not counted"
  const { purchases } = totals
  return `${formatCount(purchases)} purchase${purchases === 1n ? "" : "s"} worth ${describeAmounts(totals)}`
}

/** Amounts with their unit, as far as the message says it. */
function describeAmounts({ amountCents, parts }: DayChange_Totals): string {
  if (amountCents !== "") return formatAmount(amountCents)
  const amounts = parts.map((part) => `${formatAmount(part.amountCents)} ${describeCurrency(part.currency)}`)
  const more = amounts.length - CURRENCIES_MAX
  const named = more > 0 ? [...amounts.slice(0, CURRENCIES_MAX), `amounts of ${more} more currencies`] : amounts
  if (named.length < 2) return named[0] ?? formatAmount("0")
  return `${named.slice(0, -1).join(", ")} and ${named.at(-1)}`
}

/** The shop's own text: nothing of it may be more than a word. */
function describeCurrency(currency: string | undefined): string {
  if (!currency) return "without currency"
  return /^[\p{L}\p{N}]{1,16}$/u.test(currency) ? currency : "of another currency"
}
