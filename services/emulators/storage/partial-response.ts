import { invalid } from "./errors.ts"

/** Which fields of an answer are wanted: of each its own, or all of it. */
interface Wanted extends Map<string, Wanted | "all"> {}

/** What `fields` leaves of an answer: https://cloud.google.com/storage/docs/json_api#partial-response */
export function selectFields(json: object, fields: string | undefined): object {
  if (!fields) return json
  const parser = { text: fields, at: 0 }
  const wanted = readList(parser)
  if (parser.at < fields.length) throw invalid(`Invalid field selection ${fields}`)
  return select(json, wanted) as object
}

function readList(parser: { text: string; at: number }): Wanted {
  const wanted: Wanted = new Map()
  for (;;) {
    const [path = ""] = /^[^,()]*/.exec(parser.text.slice(parser.at)) ?? []
    parser.at += path.length
    const names = path.split("/").map((name) => name.trim())
    if (names.includes("")) throw invalid(`Invalid field selection ${parser.text}`)
    let inner: Wanted | "all" = "all"
    if (parser.text[parser.at] === "(") {
      parser.at++
      inner = readList(parser)
      if (parser.text[parser.at] !== ")") throw invalid(`Invalid field selection ${parser.text}`)
      parser.at++
    }
    add(wanted, names, inner)
    if (parser.text[parser.at] !== ",") return wanted
    parser.at++
  }
}

function add(wanted: Wanted, [first = "", ...rest]: string[], inner: Wanted | "all"): void {
  const known = wanted.get(first)
  if (known === "all") return
  if (rest.length === 0 && inner === "all") {
    wanted.set(first, "all")
    return
  }
  const next: Wanted = known ?? new Map()
  wanted.set(first, next)
  if (rest.length > 0) add(next, rest, inner)
  else if (inner !== "all") for (const [name, value] of inner) next.set(name, value)
}

function select(json: unknown, wanted: Wanted | "all"): unknown {
  if (wanted === "all" || typeof json !== "object" || json === null) return json
  if (Array.isArray(json)) return json.map((one) => select(one, wanted))
  const found = Object.entries(json).flatMap(([name, value]) => {
    const inner = wanted.get(name) ?? wanted.get("*")
    return inner === undefined || value === undefined ? [] : [[name, select(value, inner)] as const]
  })
  return Object.fromEntries(found)
}
