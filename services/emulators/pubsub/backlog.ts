import type { Clock } from "../clock.ts"
import { Fifo } from "./fifo.ts"
import type { PublishedMessage } from "./messages.ts"

// Maintained invariants:
// - Every message released is in exactly one place: `#ready`, a consumer's own queue, `#delayed`, `#outstanding`, or behind
//   the head of its ordering key.
// - Of an ordering key at most one message, its oldest, is outside the key's queue: so its order survives redelivery.
// - One timer at most runs, at or shortly after the earliest deadline, and none while nothing is outstanding or delayed.

// Deadlines are noticed on this grid, so that thousands of messages delivered one by one do not wake the server one by
// one. Google promises no more than whole seconds.
const WAKE_GRID_MS = 50

export interface Delivery {
  /** New for each delivery. */
  ackId: string
  message: PublishedMessage
  /** From 1: one more than the deliveries of this message that were nacked or expired. */
  attempt: number
}

/** Something that takes messages: a pull that waits, an open stream, a push endpoint. */
export interface Consumer {
  /** How much it takes now. The last message may exceed the bytes, as Google's flow control lets it. */
  room(): { messages: number; bytes: number }
  /** Called with at least one delivery, within the room asked for before. */
  deliver(deliveries: Delivery[]): void
  /** One of its deliveries is no longer outstanding: acknowledged, nacked or expired. */
  ended?(delivery: Delivery): void
  /** Keeps an ordering key for as long as the key has messages, as a stream does. */
  keepsKeys?: boolean
  /** Overrides the subscription's own. */
  ackDeadlineMs?: number
}

export interface DeliveryPolicy {
  ackDeadlineMs: number
  /** Without it a message is redelivered at once. */
  retry?: { minimumMs: number; maximumMs: number } | undefined
  /** `forward` says whether the message has been taken; if not, it stays. */
  deadLetter?: { attemptsMax: number; forward(message: PublishedMessage, attempts: number): boolean } | undefined
}

interface Entry {
  readonly message: PublishedMessage
  readonly key: OrderedKey | undefined
  failures: number
}

interface OrderedKey {
  readonly entries: Fifo<Entry>
  owner: Consumer | undefined
}

interface Outstanding {
  readonly entry: Entry
  readonly delivery: Delivery
  readonly consumer: Consumer
  deadlineAt: number
}

/** The queue of one subscription: hands messages to its consumers until they are acknowledged. */
export class Backlog {
  policy: DeliveryPolicy
  readonly #clock: Clock
  readonly #ordered: boolean
  readonly #ready = new Fifo<Entry>()
  readonly #delayed = new Map<Entry, number>()
  readonly #outstanding = new Map<string, Outstanding>()
  readonly #keys = new Map<string, OrderedKey>()
  /** Each attached consumer, with the messages of the keys it keeps. */
  readonly #consumers = new Map<Consumer, Fifo<Entry>>()
  #size = 0
  #deliveries = 0
  #turn = 0
  #closed = false
  #dispatch: NodeJS.Immediate | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #cancelWake: (() => void) | undefined

  constructor(options: { clock: Clock; ordered: boolean; policy: DeliveryPolicy }) {
    this.#clock = options.clock
    this.#ordered = options.ordered
    this.policy = options.policy
  }

  /** Counts messages that have come, and returns the function from which on they are delivered. */
  announce(messages: PublishedMessage[]): () => void {
    this.#size += messages.length
    return () => {
      if (this.#closed) return
      for (const message of messages) this.#addEntry(message)
      this.poke()
    }
  }

  attach(consumer: Consumer): void {
    this.#consumers.set(consumer, new Fifo())
    this.poke()
  }

  /** What it has been given stays outstanding until its deadline; what was kept for it goes to the others. */
  detach(consumer: Consumer): void {
    const kept = this.#consumers.get(consumer)
    this.#consumers.delete(consumer)
    for (let entry = kept?.shift(); entry; entry = kept?.shift()) this.#ready.push(entry)
    this.poke()
  }

  /** Delivers to one consumer, attached or not, what it has room for now. */
  serve(consumer: Consumer): void {
    if (!this.#closed) this.#deal([consumer])
  }

  /** A consumer may have room again, for a reason other than a delivery that has ended. */
  poke(): void {
    if (this.#closed || this.#dispatch || this.#consumers.size === 0) return
    this.#dispatch = setImmediate(() => {
      this.#dispatch = undefined
      this.#deal([...this.#consumers.keys()])
    })
  }

  /** Ack ids that are no longer outstanding are ignored: Google acknowledges those at best effort too. */
  acknowledge(ackIds: readonly string[]): void {
    for (const ackId of ackIds) {
      const outstanding = this.#release(ackId)
      if (outstanding) this.#remove(outstanding.entry)
    }
    this.#rest()
  }

  /** Moves deadlines to `ms` from now; 0 is a nack. */
  modifyDeadline(ackIds: readonly string[], ms: number): void {
    for (const ackId of ackIds) {
      const outstanding = this.#outstanding.get(ackId)
      if (!outstanding) continue
      if (ms === 0) this.#fail(ackId)
      else {
        outstanding.deadlineAt = this.#clock.now() + ms
        this.#wakeBy(outstanding.deadlineAt)
      }
    }
    this.#rest()
  }

  counts(): { undelivered: number; outstanding: number } {
    return { undelivered: this.#size - this.#outstanding.size, outstanding: this.#outstanding.size }
  }

  close(): void {
    this.#closed = true
    this.#consumers.clear()
    this.#outstanding.clear()
    this.#delayed.clear()
    if (this.#dispatch) clearImmediate(this.#dispatch)
    this.#rest()
  }

  #addEntry(message: PublishedMessage): void {
    if (!this.#ordered || message.orderingKey === "") {
      this.#ready.push({ message, key: undefined, failures: 0 })
      return
    }
    let key = this.#keys.get(message.orderingKey)
    if (!key) this.#keys.set(message.orderingKey, (key = { entries: new Fifo(), owner: undefined }))
    const entry = { message, key, failures: 0 }
    key.entries.push(entry)
    if (key.entries.length === 1) this.#ready.push(entry)
  }

  #deal(consumers: Consumer[]): void {
    let seats = consumers.map((consumer) => ({ consumer, room: consumer.room(), batch: [] as Delivery[] }))
    const dealt = seats
    const give = (seat: (typeof seats)[number], entry: Entry) => {
      seat.batch.push(this.#hand(entry, seat.consumer))
      seat.room.messages--
      seat.room.bytes -= entry.message.bytes
    }
    const hasRoom = (seat: (typeof seats)[number]) => seat.room.messages > 0 && seat.room.bytes > 0
    for (const seat of seats) {
      const kept = this.#consumers.get(seat.consumer)
      while (hasRoom(seat)) {
        const entry = kept?.shift()
        if (!entry) break
        give(seat, entry)
      }
    }
    seats = seats.filter(hasRoom)
    while (seats.length > 0) {
      const entry = this.#ready.shift()
      if (!entry) break
      // Round robin shares the load, and goes on where the last round stopped.
      this.#turn = (this.#turn + 1) % seats.length
      const seat = seats[this.#turn]
      if (!seat) break
      give(seat, entry)
      if (!hasRoom(seat)) seats.splice(this.#turn, 1)
    }
    for (const { consumer, batch } of dealt) if (batch.length > 0) consumer.deliver(batch)
  }

  #hand(entry: Entry, consumer: Consumer): Delivery {
    const ackId = `${entry.message.messageId}-${(++this.#deliveries).toString(36)}`
    const delivery = { ackId, message: entry.message, attempt: entry.failures + 1 }
    const deadlineAt = this.#clock.now() + (consumer.ackDeadlineMs ?? this.policy.ackDeadlineMs)
    this.#outstanding.set(ackId, { entry, delivery, consumer, deadlineAt })
    if (entry.key && consumer.keepsKeys) entry.key.owner = consumer
    this.#wakeBy(deadlineAt)
    return delivery
  }

  #release(ackId: string): Outstanding | undefined {
    const outstanding = this.#outstanding.get(ackId)
    if (!outstanding) return undefined
    this.#outstanding.delete(ackId)
    outstanding.consumer.ended?.(outstanding.delivery)
    this.poke()
    return outstanding
  }

  #fail(ackId: string): void {
    const entry = this.#release(ackId)?.entry
    if (!entry) return
    entry.failures++
    const { retry, deadLetter } = this.policy
    if (deadLetter && entry.failures >= deadLetter.attemptsMax && deadLetter.forward(entry.message, entry.failures)) {
      this.#remove(entry)
      return
    }
    // https://cloud.google.com/pubsub/docs/handling-failures#exponential_backoff; the doubling is capped before it
    // overflows.
    const delayMs = retry ? Math.min(retry.minimumMs * 2 ** Math.min(entry.failures - 1, 30), retry.maximumMs) : 0
    if (delayMs === 0) {
      this.#makeReady(entry)
      return
    }
    const readyAt = this.#clock.now() + delayMs
    this.#delayed.set(entry, readyAt)
    this.#wakeBy(readyAt)
  }

  #makeReady(entry: Entry): void {
    const owner = entry.key?.owner
    const kept = owner && this.#consumers.get(owner)
    const queue = kept ?? this.#ready
    queue.push(entry)
    this.poke()
  }

  #remove(entry: Entry): void {
    this.#size--
    if (!entry.key) return
    entry.key.entries.shift()
    const next = entry.key.entries.peek()
    if (next) this.#makeReady(next)
    else this.#keys.delete(entry.message.orderingKey)
  }

  #wakeBy(at: number): void {
    const gridAt = Math.ceil(at / WAKE_GRID_MS) * WAKE_GRID_MS
    if (gridAt >= this.#wakeAt || this.#closed) return
    this.#cancelWake?.()
    this.#wakeAt = gridAt
    this.#cancelWake = this.#clock.after(Math.max(0, gridAt - this.#clock.now()), () => this.#wake())
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#cancelWake = undefined
    const now = this.#clock.now()
    let nextAt = Number.POSITIVE_INFINITY
    const expired: string[] = []
    for (const [ackId, { deadlineAt }] of this.#outstanding) {
      if (deadlineAt <= now) expired.push(ackId)
      else nextAt = Math.min(nextAt, deadlineAt)
    }
    const due: Entry[] = []
    for (const [entry, readyAt] of this.#delayed) {
      if (readyAt <= now) due.push(entry)
      else nextAt = Math.min(nextAt, readyAt)
    }
    for (const entry of due) {
      this.#delayed.delete(entry)
      this.#makeReady(entry)
    }
    for (const ackId of expired) this.#fail(ackId)
    if (nextAt < Number.POSITIVE_INFINITY) this.#wakeBy(nextAt)
  }

  /** An idle server has no timers. */
  #rest(): void {
    if (this.#outstanding.size > 0 || this.#delayed.size > 0) return
    this.#cancelWake?.()
    this.#cancelWake = undefined
    this.#wakeAt = Number.POSITIVE_INFINITY
  }
}
