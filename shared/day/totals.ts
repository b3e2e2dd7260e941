import { type SQL, sql } from "drizzle-orm"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import type { UserChange, UserSpent } from "./compare-totals.ts"

/*
 * What purchases, or the rows computed from them, add up to. Currencies are never added up: where the shop declares one,
 * amounts are known by currency alone, in parts, as further sums are.
 */

/** What those of one currency add up to. */
export interface Part {
  /** Undefined where amounts are all of one. */
  currency: string | undefined
  /** Revenue rows; undefined of purchases. */
  rows: bigint | undefined
  purchases: bigint
  /** Minor units; may exceed 64 bits. */
  amountCents: bigint
  /** Further sums by their names. */
  measures: Record<string, bigint>
}

/** What they all add up to. */
export interface Totals {
  purchases: bigint
  /** Minor units; may exceed 64 bits. Undefined where there are currencies. */
  amountCents: bigint | undefined
  /** By currency, in their order; none where the shop declares neither currencies nor measures. */
  parts: Part[]
}

/** What nothing adds up to in a shop. */
export function noTotals({ hasCurrency }: ShopLayout): Totals {
  return { purchases: 0n, amountCents: hasCurrency ? undefined : 0n, parts: [] }
}

/** Sums as a SELECT has them, by the names that it gives them. */
export interface PartRow extends Record<string, string | number | null> {
  purchases: string
  amount: string
}

/** The sums of `PartRow`, of lines that have these columns. */
export function selectPart(of: { currency: SQL | undefined; purchases: SQL; amount: SQL; measures: SQL[] }): SQL {
  const currency = of.currency ? sql`${of.currency} AS currency, ` : sql``
  const sums = of.measures.map((measure, at) => sql`, COALESCE(SUM(${measure}), 0) AS ${sql.raw(`measure${at}`)}`)
  return sql`${currency}${of.purchases} AS purchases, COALESCE(SUM(${of.amount}), 0) AS amount${sql.join(sums, sql``)}`
}

/** Adds up what a SELECT has for each currency. */
export function toTotals(layout: ShopLayout, rows: PartRow[]): Totals {
  return rows.reduce<Totals>((sum, row) => addTotals(sum, ofPart(toPart(layout, row))), noTotals(layout))
}

function toPart({ hasCurrency, measures }: ShopLayout, row: PartRow): Part {
  return {
    currency: hasCurrency ? String(row["currency"] ?? "") : undefined,
    rows: row["rows"] === undefined ? undefined : BigInt(row["rows"] ?? 0),
    purchases: BigInt(row.purchases),
    amountCents: BigInt(row.amount),
    measures: Object.fromEntries(measures.map((name, at) => [name, BigInt(row[`measure${at}`] ?? 0)])),
  }
}

function ofPart(part: Part): Totals {
  const { currency, purchases, amountCents, measures } = part
  const isPart = currency !== undefined || Object.keys(measures).length > 0
  return { purchases, amountCents: currency === undefined ? amountCents : undefined, parts: isPart ? [part] : [] }
}

export function addTotals(a: Totals, b: Totals): Totals {
  return {
    purchases: a.purchases + b.purchases,
    amountCents: a.amountCents === undefined || b.amountCents === undefined ? undefined : a.amountCents + b.amountCents,
    parts: addParts(a.parts, b.parts),
  }
}

/** What is left of rows without those of some users. */
export function subtractSpent(totals: Totals, users: Pick<UserSpent, "currency" | "spent">[]): Totals {
  const less = users.map(({ currency, spent }) =>
    ofPart({
      currency,
      rows: -1n,
      purchases: -spent.purchases,
      amountCents: -BigInt(spent.amountCents),
      measures: mapMeasures(spent.measures, (sum) => -BigInt(sum)),
    }),
  )
  const left = less.reduce(addTotals, totals)
  return { ...left, parts: left.parts.filter(({ rows }) => rows !== 0n) }
}

function addParts(a: Part[], b: Part[]): Part[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a
  const sums = new Map(a.map((part) => [part.currency, part]))
  for (const part of b) {
    const sum = sums.get(part.currency)
    sums.set(part.currency, sum ? addPart(sum, part) : part)
  }
  return [...sums.values()].toSorted((x, y) => ((x.currency ?? "") < (y.currency ?? "") ? -1 : 1))
}

function addPart(a: Part, b: Part): Part {
  return {
    currency: a.currency,
    rows: a.rows === undefined || b.rows === undefined ? undefined : a.rows + b.rows,
    purchases: a.purchases + b.purchases,
    amountCents: a.amountCents + b.amountCents,
    measures: { ...b.measures, ...mapMeasures(a.measures, (sum, name) => sum + (b.measures[name] ?? 0n)) },
  }
}

function mapMeasures<From, To>(
  measures: Record<string, From>,
  change: (sum: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(measures).map(([name, sum]) => [name, change(sum, name)]))
}

/** Whether both say the same, of rows that one of them may not know. A part of nothing is no part. */
export function sameTotals(a: Totals, b: Totals): boolean {
  const [x, y] = [a, b].map(({ parts }) => new Map(parts.filter(isSomething).map((part) => [part.currency, part])))
  return (
    a.purchases === b.purchases &&
    a.amountCents === b.amountCents &&
    x?.size === y?.size &&
    [...(x ?? [])].every(([currency, part]) => samePart(part, y?.get(currency)))
  )
}

const isSomething = ({ purchases, amountCents, measures }: Part) =>
  purchases !== 0n || amountCents !== 0n || Object.values(measures).some((sum) => sum !== 0n)

function samePart(a: Part, b: Part | undefined): boolean {
  return (
    a.purchases === b?.purchases &&
    a.amountCents === b.amountCents &&
    Object.keys({ ...a.measures, ...b.measures }).every((name) => (a.measures[name] ?? 0n) === (b.measures[name] ?? 0n))
  )
}

/** A part as messages and documents have it. */
export interface PartFields {
  currency?: string
  rows?: bigint
  purchases: bigint
  amountCents: string
  measures: Record<string, string>
}

/** The same as it is read. */
interface LoosePart extends Omit<PartFields, "currency" | "rows"> {
  currency?: string | undefined
  rows?: bigint | undefined
}

export function partFields({ currency, rows, purchases, amountCents, measures }: Part): PartFields {
  return {
    ...(currency === undefined ? {} : { currency }),
    ...(rows === undefined ? {} : { rows }),
    purchases,
    amountCents: String(amountCents),
    measures: mapMeasures(measures, String),
  }
}

function parsePart(fields: LoosePart): Part {
  return {
    currency: fields.currency,
    rows: fields.rows,
    purchases: fields.purchases,
    amountCents: BigInt(fields.amountCents),
    measures: mapMeasures(fields.measures, BigInt),
  }
}

/** Totals as messages and documents have them. */
export function totalsFields({ purchases, amountCents, parts }: Totals) {
  return {
    purchases,
    ...(amountCents === undefined ? {} : { amountCents: String(amountCents) }),
    parts: parts.map(partFields),
  }
}

interface LooseTotals {
  purchases: bigint
  amountCents?: string | undefined
  parts: LoosePart[]
}

/** Totals of a document. */
export function parseTotals({ purchases, amountCents, parts }: LooseTotals): Totals {
  return {
    purchases,
    amountCents: amountCents === undefined ? undefined : BigInt(amountCents),
    parts: parts.map(parsePart),
  }
}

/** A user's change as documents have it. */
export function changeFields({ userId, currency, before, after }: UserChange) {
  return {
    userId: String(userId),
    ...(currency === undefined ? {} : { currency }),
    ...(before ? { before } : {}),
    ...(after ? { after } : {}),
  }
}

/** Parts as the ledger keeps them: JSON, or null where there are none to be kept. */
export function formatParts(parts: readonly PartFields[]): string | null {
  const digits = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value)
  return parts.length > 0 ? JSON.stringify(parts, digits) : null
}

export function parseParts(json: string | null | undefined): PartFields[] {
  const stored = json === null || json === undefined ? [] : (JSON.parse(json) as StoredPart[])
  return stored.map(({ rows, purchases, ...part }) => ({
    ...part,
    ...(rows === undefined ? {} : { rows: BigInt(rows) }),
    purchases: BigInt(purchases),
  }))
}

type StoredPart = Omit<PartFields, "rows" | "purchases"> & { rows?: string; purchases: string }
