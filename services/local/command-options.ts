import { InvalidArgumentError, Option } from "commander"

/** An option that takes a whole number within bounds. */
export function count(flags: string, description: string, value: number | undefined, min: number, max: number): Option {
  return new Option(flags, description).default(value).argParser((text) => {
    const given = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
    if (given >= min && given <= max) return given
    throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`)
  })
}

/** Looks at the form alone: what is no date is found where it is used. */
export function parseDate(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return text
  throw new InvalidArgumentError("It is not of the form YYYY-MM-DD.")
}
