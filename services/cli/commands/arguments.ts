import { InvalidArgumentError } from "commander"
import { isDate, parseRunName, type RunName } from "../run-name.ts"

// What is typed, as commands take it; what cannot be taken is an error of the command line.

const SHARDS_NAMED_MAX = 10_000

export function parseDate(text: string): string {
  if (text === "yesterday" || isDate(text)) return text
  throw new InvalidArgumentError('It is neither of the form YYYY-MM-DD nor "yesterday".')
}

export function parseExactDate(text: string): string {
  if (isDate(text)) return text
  throw new InvalidArgumentError("It is not of the form YYYY-MM-DD.")
}

export function parseDates(text: string): { from: string; to: string } {
  if (text === "yesterday") return { from: text, to: text }
  const [from = "", to = from, ...more] = text.split("..")
  if (more.length === 0 && isDate(from) && isDate(to)) {
    if (from <= to) return { from, to }
    throw new InvalidArgumentError(`The first date, ${from}, is after the last, ${to}.`)
  }
  throw new InvalidArgumentError("It is neither yesterday nor of the form YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD.")
}

export function parseVersion(text: string): number {
  return parseWhole(text, 1, 2 ** 31 - 1)
}

/** Ids of messages, by which backfills are known, are digits. */
export function parseRunOrBackfill(text: string): RunName | { backfillId: string } {
  return /^\d+$/.test(text) ? { backfillId: text } : parseRun(text)
}

export function parseRun(text: string): RunName {
  const name = parseRunName(text)
  if (name) return name
  throw new InvalidArgumentError("It is neither a date of the form YYYY-MM-DD nor a run's id.")
}

export function parseShards(text: string): number[] {
  const parts = text.split(",")
  if (parts.length > SHARDS_NAMED_MAX) throw new InvalidArgumentError(`There are more than ${SHARDS_NAMED_MAX}.`)
  return parts.map((part) => parseWhole(part.trim(), 0, 2 ** 31 - 1))
}

export function parseWhole(text: string, min: number, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`)
}
