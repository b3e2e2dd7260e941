import { InvalidArgumentError } from "commander"
import * as v from "valibot"
import { checkOrder, requestFields } from "../../../shared/messages/person-requests.ts"

// What is typed, as commands take it; what cannot be taken is an error of the command line.

/** Takes a field of a request. */
export function parseField<Output>(field: v.GenericSchema<string, Output>): (text: string) => Output {
  return (text) => {
    const read = v.safeParse(field, text)
    if (read.success) return read.output
    throw new InvalidArgumentError(`It ${read.issues[0].message}.`)
  }
}

/** Takes `FROM..TO`, or one date for both. */
export function parseDates(field: v.GenericSchema<string, string>): (text: string) => { from: string; to: string } {
  return (text) => {
    const [from = "", to = from, ...more] = text.split("..")
    if (more.length > 0 || !v.is(field, from) || !v.is(field, to)) {
      const yesterday = v.is(field, "yesterday") ? "yesterday, " : ""
      throw new InvalidArgumentError(`It is not ${yesterday}YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD.`)
    }
    try {
      checkOrder({ from, to })
    } catch (error) {
      throw new InvalidArgumentError(`They are not in order: ${(error as Error).message}.`)
    }
    return { from, to }
  }
}

/** Ids of messages, by which backfills are known, are digits. */
export function parseRunOrBackfill(text: string): { run: string } | { backfill: string } {
  return /^\d+$/.test(text)
    ? { backfill: parseField(requestFields.backfill)(text) }
    : { run: parseField(requestFields.run)(text) }
}

export function parseVersion(text: string): number {
  return parseWhole(text, 1, 2 ** 31 - 1)
}

export function parseWhole(text: string, min: number, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`)
}
