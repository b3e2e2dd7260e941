import type { UserId } from "../../schemas/database/user-type.ts"
import type { UserChange } from "./compare-totals.ts"
import { type CurrencySums, mapMeasures, type Sums, type Totals } from "./totals.ts"

/*
 * Sums as documents, messages and JSON have them: amounts and measures are decimal digits, counts are 64-bit integers, which
 * JSON writes as digits, too. What is undefined in memory is a field that is not there.
 */

type Digits = bigint | string

interface SumsFields {
  amountCents: string
  purchases: Digits
  measures: Record<string, string>
}

interface CurrencyFields extends SumsFields {
  currency?: string | undefined
  rows?: Digits | undefined
}

/** As they are read: from a message, or from JSON. */
export interface TotalsFields {
  rows?: Digits | undefined
  purchases: Digits
  amountCents?: string | undefined
  /** Missing in what an older version of Daybook wrote. */
  parts?: CurrencyFields[]
}

export function totalsFields({ rows, purchases, amountCents, parts }: Totals) {
  return {
    ...(rows === undefined ? {} : { rows }),
    purchases,
    ...(amountCents === undefined ? {} : { amountCents: String(amountCents) }),
    parts: parts.map(partFields),
  }
}

export function parseTotals({ rows, purchases, amountCents, parts = [] }: TotalsFields): Totals {
  return {
    rows: rows === undefined ? undefined : BigInt(rows),
    purchases: BigInt(purchases),
    amountCents: amountCents === undefined ? undefined : BigInt(amountCents),
    parts: parts.map(parsePart),
  }
}

/** Totals of a published day, whose rows are called its users. */
export function dayFields(totals: Totals) {
  const { rows, ...fields } = totalsFields(totals)
  return { ...(rows === undefined ? {} : { users: rows }), ...fields }
}

export function parseDay({ users, ...fields }: Omit<TotalsFields, "rows"> & { users?: Digits | undefined }): Totals {
  return parseTotals({ ...fields, rows: users })
}

export function partFields({ currency, rows, ...sums }: CurrencySums) {
  return {
    ...(currency === undefined ? {} : { currency }),
    ...(rows === undefined ? {} : { rows }),
    ...sumsFields(sums),
  }
}

export function parsePart({ currency, rows, ...fields }: CurrencyFields): CurrencySums {
  return { currency, rows: rows === undefined ? undefined : BigInt(rows), ...parseSums(fields) }
}

export function sumsFields({ amountCents, purchases, measures }: Sums) {
  return { amountCents: String(amountCents), purchases, measures: mapMeasures(measures, String) }
}

function parseSums({ amountCents, purchases, measures }: SumsFields): Sums {
  return {
    amountCents: BigInt(amountCents),
    purchases: BigInt(purchases),
    measures: mapMeasures(measures, BigInt),
  }
}

/** A user whose revenue is another one. */
export function changeFields({ userId, currency, before, after }: UserChange) {
  return {
    userId: String(userId),
    ...(currency === undefined ? {} : { currency }),
    ...(before ? { before: sumsFields(before) } : {}),
    ...(after ? { after: sumsFields(after) } : {}),
  }
}

interface ChangeFields {
  userId: UserId
  currency?: string | undefined
  before?: SumsFields | undefined
  after?: SumsFields | undefined
}

export function parseChange({ userId, currency, before, after }: ChangeFields): UserChange {
  return { userId, currency, before: before && parseSums(before), after: after && parseSums(after) }
}

/** JSON with 64-bit integers as digits. */
export function formatDigits(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === "bigint" ? String(one) : one))
}
