/** How fast a task gets on, and so how many shards it takes at once. */
export interface Pace {
  /** At least one. */
  readonly shardsAtOnce: number
  /** Has so many shards been computed in so many milliseconds. */
  note(shards: number, ms: number): void
}

// What a transaction costs is little beside it, and so is what a task that dies loses.
const TOGETHER_MS = 100

/** Shards that take much less than a tenth of a second are computed together: several in one transaction. */
export function measurePace(): Pace {
  let shardsAtOnce = 1
  return {
    get shardsAtOnce() {
      return shardsAtOnce
    },
    note(shards, ms) {
      shardsAtOnce = Math.max(1, Math.floor((TOGETHER_MS * shards) / Math.max(1, ms)))
    },
  }
}
