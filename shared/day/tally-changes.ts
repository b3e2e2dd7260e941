import type { UserChange } from "./compare-totals.ts"

// What a person reads; all of them are in changes.jsonl.
const LARGEST_MAX = 20

/** What the changes between two versions come to. */
export interface ChangeTally {
  /** Users who have a row in the new version alone. */
  added: bigint
  /** Users whose amount or number of purchases differs. */
  changed: bigint
  /** Users who have a row in the old version alone. */
  removed: bigint
  /** Those whose amounts differ most, the most first; of equal ones the lower user id. */
  largest: UserChange[]
}

/** Adds changes up as they come, which is in the order of the users. */
export function createTally(): ChangeTally & { add(change: UserChange): void } {
  const tally = {
    added: 0n,
    changed: 0n,
    removed: 0n,
    largest: [] as UserChange[],
    add(change: UserChange) {
      if (!change.before) tally.added++
      else if (!change.after) tally.removed++
      else tally.changed++
      insertLargest(tally.largest, change)
    },
  }
  return tally
}

function insertLargest(largest: UserChange[], change: UserChange): void {
  const last = largest.at(-1)
  if (last && largest.length === LARGEST_MAX && sizeOf(change) <= sizeOf(last)) return
  const at = largest.findIndex((other) => sizeOf(other) < sizeOf(change))
  largest.splice(at < 0 ? largest.length : at, 0, change)
  if (largest.length > LARGEST_MAX) largest.pop()
}

/** How much a user's amount differs, in minor units. */
function sizeOf({ before, after }: UserChange): bigint {
  const difference = (after?.amountCents ?? 0n) - (before?.amountCents ?? 0n)
  return difference < 0n ? -difference : difference
}
