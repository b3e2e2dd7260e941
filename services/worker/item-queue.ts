import type { ItemSource, PulledItem } from "./pull-item.ts"

/**
 * What the queue is at. `idle`: nothing is asked for. `fetching`: a pull is under way. `fetched`: it has its answer,
 * items, none, or a failure, which `take` hands on.
 */
export type QueueMode = "idle" | "fetching" | "fetched"

/**
 * Fetches work items ahead: while some are computed the next are pulled. One pull at a time, and none after an empty
 * one until somebody takes again: the ledger is asked in between.
 */
export class ItemQueue {
  readonly #source: ItemSource
  readonly #itemsMax: number
  #mode: QueueMode = "idle"
  #pulling: Promise<PulledItem[]> | undefined
  // Only those under way: a task of thousands of shards must not keep a promise for each.
  readonly #acknowledging = new Set<Promise<void>>()

  constructor(source: ItemSource, itemsMax: number) {
    this.#source = source
    this.#itemsMax = itemsMax
  }

  get mode(): QueueMode {
    return this.#mode
  }

  /** Asks for the next items, if they are not asked for yet. */
  fetch(): void {
    if (this.#pulling) return
    this.#mode = "fetching"
    this.#pulling = this.#source.pull(this.#itemsMax)
    const fetched = () => {
      this.#mode = "fetched"
    }
    this.#pulling.then(fetched, fetched)
  }

  /** The next items, once they have come; none if none came in time. Throws what the pull failed with. */
  async take(): Promise<PulledItem[]> {
    this.fetch()
    try {
      return (await this.#pulling) ?? []
    } finally {
      this.#pulling = undefined
      this.#mode = "idle"
    }
  }

  /** Acknowledges items whose claims are decided; does not wait. */
  acknowledge(items: PulledItem[]): void {
    const acknowledging = this.#source.acknowledge(items).finally(() => this.#acknowledging.delete(acknowledging))
    this.#acknowledging.add(acknowledging)
  }

  /** Waits for the acknowledgements under way. */
  async drain(): Promise<void> {
    await Promise.all(this.#acknowledging)
  }
}
