import { and, type SQL, sql } from "drizzle-orm"
import type { ShopSource } from "../../schemas/database/shop.ts"
import { type Bounds, clockBounds } from "./source-clock.ts"

/** One of some equal parts of a day's time, by the clock of each source. */
export interface Piece {
  index: number
  of: number
}

const WHOLE: Piece = { index: 0, of: 1 }

/**
 * That a row of a source happened during a day, by its own column of time: a range of an index that begins with it, whatever
 * kind of time it is.
 */
export function duringOwnTime(source: ShopSource, day: Bounds, piece = WHOLE): SQL {
  const { column, clock, kind } = source.layout.own.time
  const at = sql`${source.table}.${sql.identifier(column)}`
  const { fromAt, toAt } = clockBounds(source, day)
  // By whole seconds of the source's own clock. Of an hour that this clock shows twice both are in one piece: were instants cut,
  // pieces could overlap there.
  const cutAt = (n: number) => {
    if (n === 0) return fromAt
    if (n === piece.of) return toAt
    const ms = fromAt.getTime() + ((toAt.getTime() - fromAt.getTime()) * n) / piece.of
    return new Date(Math.floor(ms / 1_000) * 1_000)
  }
  const [from, to] = [cutAt(piece.index), cutAt(piece.index + 1)]
  const between = (first: SQL, end: SQL) => and(sql`${at} >= ${first}`, sql`${at} < ${end}`) as SQL
  if (kind === "epoch-seconds") return between(seconds(from), seconds(to))
  if (kind === "epoch-ms") return between(number(from.getTime()), number(to.getTime()))
  if (kind === "date") return sql`${at} = ${dateOf(fromAt)}`
  if (clock === undefined) return between(sql`${dateTime(from)}`, sql`${dateTime(to)}`)
  const moment = sql`TIMESTAMP(${at}, ${source.table}.${sql.identifier(clock)})`
  const lastMs = new Date(to.getTime() - 1)
  return sql`${at} BETWEEN ${dateOf(from)} AND ${dateOf(lastMs)} AND ${moment} >= ${dateTime(from)} AND ${moment} < ${dateTime(to)}`
}

/** Whether a part of a day's time is a smaller range of an index. */
export function canBeCut({ layout }: ShopSource): boolean {
  const { kind, clock } = layout.own.time
  return kind !== "date" && clock === undefined
}

const number = (value: number) => sql.raw(String(value))

const seconds = (instant: Date) => number(Math.ceil(instant.getTime() / 1_000))

const dateTime = (instant: Date) => instant.toISOString().replace("T", " ").replace("Z", "")

const dateOf = (instant: Date) => instant.toISOString().slice(0, 10)
