import { invalid } from "./errors.ts"
import { compareNames, isTrue } from "./names.ts"

// https://cloud.google.com/storage/docs/json_api/v1/objects/list
const PAGE_ENTRIES_MAX = 1000

export interface ListOptions {
  prefix: string
  /** Names that have it after the prefix are rolled up into one entry of `prefixes`; empty for none. */
  delimiter: string
  /** Names from here on. */
  startOffset: string
  /** Names before this one; empty for no end. */
  endOffset: string
  /** Lists a name that ends with its first delimiter as an item, beside its prefix. */
  includeTrailingDelimiter: boolean
  /** Items and prefixes together. */
  maxResults: number
  pageToken: string | undefined
}

export interface NamePage {
  names: string[]
  prefixes: string[]
  nextPageToken: string | undefined
}

export function parseListOptions(query: Record<string, string | undefined>): ListOptions {
  const maxResults = Number(query.maxResults ?? 0)
  if (!Number.isInteger(maxResults) || maxResults < 0) throw invalid(`Invalid value for maxResults: '${maxResults}'`)
  return {
    prefix: query.prefix ?? "",
    delimiter: query.delimiter ?? "",
    startOffset: query.startOffset ?? "",
    endOffset: query.endOffset ?? "",
    includeTrailingDelimiter: isTrue(query.includeTrailingDelimiter),
    maxResults: maxResults === 0 ? PAGE_ENTRIES_MAX : Math.min(maxResults, PAGE_ENTRIES_MAX),
    // An empty one is none.
    pageToken: query.pageToken || undefined,
  }
}

/** One page of sorted names. A page token is the last entry of the page before, so that deleted names do not matter. */
export function listNames(sortedNames: readonly string[], options: ListOptions): NamePage {
  const page: NamePage = { names: [], prefixes: [], nextPageToken: undefined }
  let last = options.pageToken === undefined ? undefined : parseToken(options.pageToken)
  for (const name of sortedNames) {
    if (!name.startsWith(options.prefix)) continue
    if (compareNames(name, options.startOffset) < 0) continue
    if (options.endOffset !== "" && compareNames(name, options.endOffset) >= 0) break
    for (const entry of entriesOf(name, options)) {
      if (last && compareEntries(entry, last) <= 0) continue
      if (page.names.length + page.prefixes.length === options.maxResults) {
        page.nextPageToken = formatToken(last!)
        return page
      }
      ;(entry.isPrefix ? page.prefixes : page.names).push(entry.text)
      last = entry
    }
  }
  return page
}

interface Entry {
  text: string
  isPrefix: boolean
}

function entriesOf(name: string, { prefix, delimiter, includeTrailingDelimiter }: ListOptions): Entry[] {
  const at = delimiter === "" ? -1 : name.indexOf(delimiter, prefix.length)
  if (at < 0) return [{ text: name, isPrefix: false }]
  const rolledUp = { text: name.slice(0, at + delimiter.length), isPrefix: true }
  return includeTrailingDelimiter && rolledUp.text === name ? [rolledUp, { text: name, isPrefix: false }] : [rolledUp]
}

/** The order in which entries come out of sorted names: a prefix stands before the item of the same name. */
function compareEntries(a: Entry, b: Entry): number {
  return compareNames(a.text, b.text) || Number(b.isPrefix) - Number(a.isPrefix)
}

const formatToken = ({ text, isPrefix }: Entry) => Buffer.from(`${isPrefix ? "p" : "n"}${text}`).toString("base64url")

function parseToken(token: string): Entry {
  const text = Buffer.from(token, "base64url").toString("utf8")
  if (!/^[pn]/.test(text)) throw invalid(`Invalid page token: '${token}'`)
  return { text: text.slice(1), isPrefix: text.startsWith("p") }
}
