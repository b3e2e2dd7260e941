/** Time as the local cloud sees it: the machine's, or a test's. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once, `ms` from now, unless the returned function is called before. */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: Date.now,
  after(ms, callback) {
    // setTimeout fires at once beyond 2^31-1 ms: a deadline of more than 24 days is never met by a local cloud.
    const timer = setTimeout(callback, Math.min(ms, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}

/** A clock that stands still until a test moves it, so that a ten-minute backoff is tested in no time. */
export class ManualClock implements Clock {
  #now: number
  readonly #waiting = new Set<{ at: number; callback: () => void }>()

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const entry = { at: this.#now + ms, callback }
    this.#waiting.add(entry)
    return () => this.#waiting.delete(entry)
  }

  /** Moves time forward and calls back all that falls due, earliest first. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#waiting].filter((entry) => entry.at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#waiting.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
    }
    this.#now = end
  }
}
