import { isDeepStrictEqual } from "node:util"

/*
 * Takes a user out of the JSON that documents and the ledger hold: those lines, users and rows that are about the user go,
 * sentences say "a forgotten user" instead, and where a range begins or ends at the user it does so at the next one.
 */

/** Whom a text is to forget. */
export interface Forgotten {
  /** Every way in which the user's key is written. */
  spellings: readonly string[]
  /** The key at which a range begins that began at the user; undefined where none is known. */
  nextKey?: string | undefined
}

const FORGOTTEN = "a forgotten user"

/** A document without the user, or the same text if the user is not in it. JSON, or lines of JSON. */
export function scrubDocument(path: string, text: string, who: Forgotten): string {
  if (!listForms(who).some((form) => text.includes(form))) return text
  if (!path.endsWith(".jsonl")) return scrubJson(text, who)
  const lines = text.split("\n")
  return lines.flatMap((line) => (line === "" ? line : scrubLine(line, who))).join("\n")
}

/** How the user's key is in texts: as it is, and as JSON writes it, which differs where it has a quote or a backslash. */
export function listForms({ spellings }: Forgotten): string[] {
  return [...new Set(spellings.flatMap((key) => [key, JSON.stringify(key).slice(1, -1)]))]
}

/** A JSON text without the user, indented as it is. */
export function scrubJson(text: string, who: Forgotten): string {
  const value: unknown = JSON.parse(text)
  const scrubbed = scrubValue(value, who)
  return isDeepStrictEqual(scrubbed, value) ? text : JSON.stringify(scrubbed, null, text.includes("\n") ? 2 : 0)
}

/** A sentence that names a user as Daybook's sentences do. */
export function scrubSentence(text: string, { spellings }: Forgotten): string {
  return spellings.reduce((sentence, key) => sentence.replaceAll(namedBy(key), `$1${FORGOTTEN}`), text)
}

/** `user 17 spent …` and `17 (Revenue has …`, and not another number that ends or begins alike. */
function namedBy(key: string): RegExp {
  const quoted = quote(key)
  return new RegExp(String.raw`(^|[^\p{L}\p{N}-])(?:user ${quoted}(?![\p{L}\p{N}])|${quoted}(?= \(Revenue has ))`, "gu")
}

/** Whether a text of a person's own has a user's key in it. */
export function mentions(text: string, key: string): boolean {
  return new RegExp(String.raw`(?<![\p{L}\p{N}])${quote(key)}(?![\p{L}\p{N}])`, "u").test(text)
}

const quote = (key: string) => key.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

function scrubLine(line: string, who: Forgotten): string[] {
  const value: unknown = JSON.parse(line)
  return isAbout(value, who) ? [] : [scrubJson(line, who)]
}

function scrubValue(value: unknown, who: Forgotten): unknown {
  if (typeof value === "string") return scrubSentence(value, who)
  if (Array.isArray(value)) {
    return value.filter((element) => !isAbout(element, who)).map((element) => scrubValue(element, who))
  }
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isBound(key, inner, who) ? (who.nextKey ?? inner) : scrubValue(inner, who),
    ]),
  )
}

const isBound = (key: string, value: unknown, { spellings }: Forgotten) =>
  (key === "from" || key === "to") && spellings.includes(String(value))

/** An entry of users, or a row that a check returned, which is JSON in a string and may call the user by another name. */
function isAbout(value: unknown, who: Forgotten): boolean {
  if (typeof value === "string") return value.startsWith("{") && isAbout(parseRow(value), who)
  if (typeof value !== "object" || value === null) return false
  return Object.entries(value).some(
    ([key, inner]) => /user/i.test(key) && typeof inner !== "object" && who.spellings.includes(String(inner)),
  )
}

function parseRow(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // It was a sentence after all.
    return undefined
  }
}
