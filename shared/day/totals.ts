import type { ShopLayout } from "../../schemas/database/shop-layout.ts"

/*
 * What purchases, or the rows computed from them, add up to. This is the form in memory; three files turn it into others, and
 * nothing else does: select-sums.ts (rows of a SELECT), totals-fields.ts (documents, messages and JSON),
 * ledger/totals-columns.ts (the ledger). Currencies are never added up: where the shop declares one, amounts are known by
 * currency alone, in parts, as further sums are.
 */

/** What purchases of one currency add up to, of one user or of many. */
export interface Sums {
  /** Minor units; may exceed 64 bits. */
  amountCents: bigint
  purchases: bigint
  /** Further sums by their names. */
  measures: Record<string, bigint>
}

/** The sums of one currency. */
export interface CurrencySums extends Sums {
  /** Undefined where amounts are all of one. */
  currency: string | undefined
  /** Revenue rows; undefined of purchases. */
  rows: bigint | undefined
}

/** What they all add up to. */
export interface Totals {
  /** Revenue rows, one for each user and currency; undefined where they were not counted, as of purchases. */
  rows: bigint | undefined
  purchases: bigint
  /** Minor units; may exceed 64 bits. Undefined where there are currencies. */
  amountCents: bigint | undefined
  /** By currency, in their order; none where the shop declares neither currencies nor measures. */
  parts: CurrencySums[]
}

/** Totals with the checksum that depends on each user's sums: see checksum.ts. */
export interface CheckedTotals {
  totals: Totals
  checksum: bigint
}

/** What no purchases add up to in a shop. */
export function noTotals({ hasCurrency }: ShopLayout): Totals {
  return { rows: undefined, purchases: 0n, amountCents: hasCurrency ? undefined : 0n, parts: [] }
}

/** What no rows add up to in a shop. */
export function noRows(layout: ShopLayout): Totals {
  return { ...noTotals(layout), rows: 0n }
}

/** Sums of one currency as totals. */
export function totalsOf(sums: CurrencySums): Totals {
  const { currency, rows, purchases, amountCents, measures } = sums
  const isPart = currency !== undefined || Object.keys(measures).length > 0
  return { rows, purchases, amountCents: currency === undefined ? amountCents : undefined, parts: isPart ? [sums] : [] }
}

export function addTotals(a: Totals, b: Totals): Totals {
  return {
    rows: addKnown(a.rows, b.rows),
    purchases: a.purchases + b.purchases,
    amountCents: addKnown(a.amountCents, b.amountCents),
    parts: addParts(a.parts, b.parts),
  }
}

/** What is left of rows without those of some users. */
export function subtractUsers(totals: Totals, users: { currency: string | undefined; sums: Sums }[]): Totals {
  const less = users.map(({ currency, sums }) =>
    totalsOf({
      currency,
      rows: -1n,
      purchases: -sums.purchases,
      amountCents: -sums.amountCents,
      measures: mapMeasures(sums.measures, (sum) => -sum),
    }),
  )
  const left = less.reduce(addTotals, totals)
  return { ...left, parts: left.parts.filter(({ rows }) => rows !== 0n) }
}

/** Whether both say the same, of rows that one of them may not know. A part of nothing is no part. */
export function sameTotals(a: Totals, b: Totals): boolean {
  const [x, y] = [a, b].map(({ parts }) => new Map(parts.filter(isSomething).map((part) => [part.currency, part])))
  return (
    a.purchases === b.purchases &&
    a.amountCents === b.amountCents &&
    x?.size === y?.size &&
    [...(x ?? [])].every(([currency, part]) => sameSums(part, y?.get(currency)))
  )
}

/** Whether both say the same. A measure that one of them does not have is 0 there. */
export function sameSums(a: Sums | undefined, b: Sums | undefined): boolean {
  if (!a || !b) return a === b
  return (
    a.purchases === b.purchases &&
    a.amountCents === b.amountCents &&
    Object.keys({ ...a.measures, ...b.measures }).every((name) => (a.measures[name] ?? 0n) === (b.measures[name] ?? 0n))
  )
}

/** Measures with each sum made into something else. */
export function mapMeasures<From, To>(
  measures: Record<string, From>,
  change: (sum: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(measures).map(([name, sum]) => [name, change(sum, name)]))
}

/** A sum is known where both its sides are. */
const addKnown = (a: bigint | undefined, b: bigint | undefined) =>
  a === undefined || b === undefined ? undefined : a + b

function addParts(a: CurrencySums[], b: CurrencySums[]): CurrencySums[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a
  const sums = new Map(a.map((part) => [part.currency, part]))
  for (const part of b) {
    const sum = sums.get(part.currency)
    sums.set(part.currency, sum ? addPart(sum, part) : part)
  }
  return [...sums.values()].toSorted((x, y) => ((x.currency ?? "") < (y.currency ?? "") ? -1 : 1))
}

function addPart(a: CurrencySums, b: CurrencySums): CurrencySums {
  return {
    currency: a.currency,
    rows: addKnown(a.rows, b.rows),
    purchases: a.purchases + b.purchases,
    amountCents: a.amountCents + b.amountCents,
    measures: { ...b.measures, ...mapMeasures(a.measures, (sum, name) => sum + (b.measures[name] ?? 0n)) },
  }
}

const isSomething = ({ purchases, amountCents, measures }: Sums) =>
  purchases !== 0n || amountCents !== 0n || Object.values(measures).some((sum) => sum !== 0n)
