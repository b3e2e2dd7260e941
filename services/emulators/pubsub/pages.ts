import { refuse } from "./refusals.ts"

// Lists of the local cloud are short: one page holds them, unless the caller asks for less.
const PAGE_SIZE_MAX = 1000

/** One page of a list that is sorted by name; the token is the name that the page before ended with. */
export function pageOf<T>(
  items: T[],
  nameOf: (item: T) => string,
  request: { pageSize?: number | null; pageToken?: string | null },
): { page: T[]; nextPageToken: string } {
  const size = request.pageSize ?? 0
  if (size < 0) throw refuse(`The page size must not be negative (page_size=${size}).`)
  const after = request.pageToken ?? ""
  const rest = items
    .filter((item) => nameOf(item) > after)
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0))
  const page = rest.slice(0, Math.min(size || PAGE_SIZE_MAX, PAGE_SIZE_MAX))
  const last = page.at(-1)
  return { page, nextPageToken: last && page.length < rest.length ? nameOf(last) : "" }
}
