import { throwFailures, tryEach } from "./try-each.ts"

/** A list that is worked off from front to back. */
export interface WalkedList<Item> {
  /** The next items behind this one, in a fixed order; from the front without one. */
  list: (after: Item | undefined) => Promise<Item[]>
  /** As many as `list` returns, unless it comes to the end. */
  pageSize: number
  work: (item: Item) => Promise<unknown>
}

// Whoever reads them needs one or two.
const FAILURES_KEPT_MAX = 20

/**
 * Makes the function that works off a page at each call. It goes past an item that fails, and comes back to it after the end
 * of the list: items at the front that fail again and again keep nothing behind them waiting. Once an item has failed,
 * every call throws until the end of the list.
 */
export function createWalk<Item>({ list, pageSize, work }: WalkedList<Item>): () => Promise<"more" | void> {
  let after: Item | undefined
  let failures: unknown[] = []
  return async () => {
    if (after === undefined) failures = []
    const items = await list(after)
    after = items.length < pageSize ? undefined : items.at(-1)
    await tryEach(items, work).catch((error: unknown) => failures.push(error))
    failures = failures.slice(0, FAILURES_KEPT_MAX)
    throwFailures(failures)
    return after === undefined ? undefined : "more"
  }
}
