import * as v from "valibot"
import { ConfigurationError } from "../errors.ts"

/**
 * Reads a service's settings from the environment. All problems are reported together, each with the variable's name
 * and what it is for, as one `ConfigurationError`. A variable that is set to nothing is an error, not a default.
 */
export function readConfig<Entries extends v.ObjectEntries>(
  entries: Entries,
  env: NodeJS.ProcessEnv,
): v.InferOutput<v.ObjectSchema<Entries, undefined>> {
  const known = Object.fromEntries(Object.keys(entries).map((name) => [name, env[name]]))
  const given = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
  const empty = Object.keys(given).filter((name) => given[name]?.trim() === "")
  const result = v.safeParse(v.object(entries), given)
  const problems = new Map<string, string>()
  for (const issue of result.issues ?? []) {
    const name = v.getDotPath(issue) ?? "?"
    if (!problems.has(name)) problems.set(name, given[name] === undefined ? "is not set" : issue.message)
  }
  for (const name of empty) problems.set(name, "is set to nothing")
  if (result.success && problems.size === 0) return result.output
  const lines = [...problems].map(([name, problem]) => {
    const purpose = describe(entries[name])
    return `  ${name} ${problem}${purpose ? ` (${purpose})` : ""}`
  })
  throw new ConfigurationError(`The environment cannot be used:\n${lines.join("\n")}`)
}

function describe(entry: v.ObjectEntries[string] | undefined): string | undefined {
  if (!entry) return undefined
  // v.optional hides the description of what it wraps.
  return "wrapped" in entry ? describe(entry.wrapped) : v.getDescription(entry)
}

/** A string that is not empty. */
export function text(description: string) {
  return v.pipe(v.string(), v.nonEmpty("is set to nothing"), v.description(description))
}

/** A whole number within bounds. */
export function wholeNumber(description: string, min: number, max: number) {
  const problem = `is not a whole number from ${min} to ${max}`
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,15}$/, problem),
    v.transform(Number),
    v.minValue(min, problem),
    v.maxValue(max, problem),
    v.description(description),
  )
}

/** A string that matches a form, such as a resource name. */
export function form(description: string, pattern: RegExp, expected: string) {
  return v.pipe(v.string(), v.regex(pattern, `is not ${expected}`), v.description(description))
}
