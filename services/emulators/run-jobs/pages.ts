import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"

// The API documents no numbers. These keep an answer of 10,000 tasks within a few pages of less than a megabyte.
const PAGE_SIZE_DEFAULT = 100
const PAGE_SIZE_MAX = 1000

interface PageRequest {
  pageSize?: number | null
  pageToken?: string | null
}

/** Takes one page from items in a stable order; `keyOf` names an item's place in that order, for the next page. */
export function takePage<T>(
  items: Iterable<T>,
  request: PageRequest,
  keyOf: (item: T) => string,
): { items: T[]; nextPageToken: string } {
  const size = Math.min(request.pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
  if (size < 0) throw new StatusError(status.INVALID_ARGUMENT, `page_size must not be negative: ${size}`)
  const page: T[] = []
  for (const item of items) {
    if (page.length === size) {
      const last = page.at(-1) as T
      return { items: page, nextPageToken: Buffer.from(keyOf(last)).toString("base64url") }
    }
    page.push(item)
  }
  return { items: page, nextPageToken: "" }
}

/** The key after which a page begins; undefined for the first page. */
export function keyOfToken(request: PageRequest, shape: RegExp): string | undefined {
  if (!request.pageToken) return undefined
  const key = Buffer.from(request.pageToken, "base64url").toString()
  if (shape.test(key)) return key
  throw new StatusError(
    status.INVALID_ARGUMENT,
    `page_token "${request.pageToken}" is not from an earlier page of this list`,
  )
}
