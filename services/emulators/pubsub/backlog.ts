import type { Clock } from "../clock.ts"
import { Fifo } from "./fifo.ts"
import type { PublishedMessage } from "./messages.ts"

// Maintained invariants:
// - Every message released is in exactly one place: `#ready`, a consumer's own queue, `#delayed`, `#outstanding`, or the
//   queue of its ordering key.
// - Messages of an ordering key are handed out in their order, to one consumer as long as any is outstanding; when one
//   fails, it and those handed out after it are queued again, in their order.
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
  /** Takes one message of an ordering key at a time, as a push endpoint does. */
  oneOfKey?: boolean
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
  readonly name: string
  /** Those that nobody has. */
  readonly entries: Fifo<Entry>
  /** Those that somebody has, in the order in which they were handed out. */
  outstanding: Outstanding[]
  owner: Consumer | undefined
  /** It stands in a queue. */
  queued: boolean
  /** It waits for the backoff of its oldest message. */
  delayed: boolean
}

/** What stands in a queue: a message, or all that an ordering key has. */
type Item = Entry | OrderedKey

interface Outstanding {
  readonly entry: Entry
  readonly delivery: Delivery
  readonly consumer: Consumer
  deadlineAt: number
}

interface Seat {
  consumer: Consumer
  room: { messages: number; bytes: number }
  batch: Delivery[]
}

const hasRoom = ({ room }: Seat) => room.messages > 0 && room.bytes > 0

/** The queue of one subscription: hands messages to its consumers until they are acknowledged. */
export class Backlog {
  policy: DeliveryPolicy
  readonly #clock: Clock
  readonly #ordered: boolean
  readonly #ready = new Fifo<Item>()
  readonly #delayed = new Map<Item, number>()
  readonly #outstanding = new Map<string, Outstanding>()
  readonly #keys = new Map<string, OrderedKey>()
  /** Each attached consumer, with the keys it keeps. */
  readonly #consumers = new Map<Consumer, Fifo<Item>>()
  /** All that are not acknowledged, by id. */
  readonly #unacknowledged = new Map<string, PublishedMessage>()
  readonly #onAcknowledged: (message: PublishedMessage) => void
  /** Grows when all is replaced: what was announced before is not released any more. */
  #generation = 0
  #deliveries = 0
  #turn = 0
  #closed = false
  #dispatch: NodeJS.Immediate | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #cancelWake: (() => void) | undefined

  constructor(options: {
    clock: Clock
    ordered: boolean
    policy: DeliveryPolicy
    onAcknowledged?: (message: PublishedMessage) => void
  }) {
    this.#clock = options.clock
    this.#ordered = options.ordered
    this.policy = options.policy
    this.#onAcknowledged = options.onAcknowledged ?? (() => undefined)
  }

  /** Counts messages that have come, and returns the function from which on they are delivered. */
  announce(messages: PublishedMessage[]): () => void {
    for (const message of messages) this.#unacknowledged.set(message.messageId, message)
    const generation = this.#generation
    return () => {
      if (this.#closed || generation !== this.#generation) return
      for (const message of messages) this.#addEntry(message)
      this.poke()
    }
  }

  /** All that are not acknowledged, in the order in which they came. */
  unacknowledged(): PublishedMessage[] {
    return [...this.#unacknowledged.values()]
  }

  /** From now on these are what is not acknowledged, and nothing else; acknowledgements of older deliveries are ignored. */
  replace(messages: PublishedMessage[]): void {
    this.#generation++
    for (const { consumer, delivery } of this.#outstanding.values()) consumer.ended?.(delivery)
    this.#outstanding.clear()
    this.#delayed.clear()
    this.#keys.clear()
    this.#unacknowledged.clear()
    for (const queue of [this.#ready, ...this.#consumers.values()]) while (queue.shift());
    for (const message of messages) this.#unacknowledged.set(message.messageId, message)
    for (const message of messages) this.#addEntry(message)
    this.#rest()
    this.poke()
  }

  attach(consumer: Consumer): void {
    this.#consumers.set(consumer, new Fifo())
    this.poke()
  }

  /** What it has been given stays outstanding until its deadline; what was kept for it goes to the others. */
  detach(consumer: Consumer): void {
    const kept = this.#consumers.get(consumer)
    this.#consumers.delete(consumer)
    for (let item = kept?.shift(); item; item = kept?.shift()) {
      if ("entries" in item) item.queued = false
      this.#queue(item)
    }
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

  /** Returns the ack ids that are no longer outstanding, which only exactly-once delivery tells anybody. */
  acknowledge(ackIds: readonly string[]): string[] {
    const unknown = ackIds.filter((ackId) => {
      const outstanding = this.#release(ackId)
      if (outstanding) this.#remove(outstanding.entry)
      return !outstanding
    })
    this.#rest()
    return unknown
  }

  /** Moves deadlines to `ms` from now; 0 is a nack. Returns the ack ids that are no longer outstanding. */
  modifyDeadline(ackIds: readonly string[], ms: number): string[] {
    const unknown = ackIds.filter((ackId) => {
      const outstanding = this.#outstanding.get(ackId)
      if (!outstanding) return true
      if (ms === 0) this.#fail(ackId)
      else {
        outstanding.deadlineAt = this.#clock.now() + ms
        this.#wakeBy(outstanding.deadlineAt)
      }
      return false
    })
    this.#rest()
    return unknown
  }

  counts(): { undelivered: number; outstanding: number } {
    return { undelivered: this.#unacknowledged.size - this.#outstanding.size, outstanding: this.#outstanding.size }
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
    const name = message.orderingKey
    let key = this.#keys.get(name)
    if (!key) {
      key = { name, entries: new Fifo(), outstanding: [], owner: undefined, queued: false, delayed: false }
      this.#keys.set(name, key)
    }
    key.entries.push({ message, key, failures: 0 })
    this.#goOn(key)
  }

  #deal(consumers: Consumer[]): void {
    const dealt = consumers.map((consumer): Seat => ({ consumer, room: consumer.room(), batch: [] }))
    for (const seat of dealt) {
      const kept = this.#consumers.get(seat.consumer)
      while (hasRoom(seat)) {
        const item = kept?.shift()
        if (!item) break
        this.#give(seat, item)
      }
    }
    const seats = dealt.filter(hasRoom)
    while (seats.length > 0) {
      const item = this.#ready.shift()
      if (!item) break
      // Round robin shares the load, and goes on where the last round stopped.
      this.#turn = (this.#turn + 1) % seats.length
      const seat = seats[this.#turn]
      if (!seat) break
      this.#give(seat, item)
      if (!hasRoom(seat)) seats.splice(this.#turn, 1)
    }
    for (const { consumer, batch } of dealt) if (batch.length > 0) consumer.deliver(batch)
  }

  /** A message, or of an ordering key as many as there is room for. */
  #give(seat: Seat, item: Item): void {
    const hand = (entry: Entry) => {
      seat.batch.push(this.#hand(entry, seat.consumer))
      seat.room.messages--
      seat.room.bytes -= entry.message.bytes
    }
    if (!("entries" in item)) return hand(item)
    item.queued = false
    if (item.delayed) return
    do {
      const entry = item.entries.shift()
      if (!entry) break
      hand(entry)
    } while (hasRoom(seat) && !seat.consumer.oneOfKey)
    this.#goOn(item)
  }

  #hand(entry: Entry, consumer: Consumer): Delivery {
    const ackId = `${entry.message.messageId}-${(++this.#deliveries).toString(36)}`
    const delivery = { ackId, message: entry.message, attempt: entry.failures + 1 }
    const deadlineAt = this.#clock.now() + (consumer.ackDeadlineMs ?? this.policy.ackDeadlineMs)
    const outstanding = { entry, delivery, consumer, deadlineAt }
    this.#outstanding.set(ackId, outstanding)
    entry.key?.outstanding.push(outstanding)
    if (entry.key) entry.key.owner = consumer.keepsKeys ? consumer : undefined
    this.#wakeBy(deadlineAt)
    return delivery
  }

  #release(ackId: string): Outstanding | undefined {
    const outstanding = this.#outstanding.get(ackId)
    if (!outstanding) return undefined
    this.#outstanding.delete(ackId)
    const { key } = outstanding.entry
    if (key) key.outstanding = key.outstanding.filter((other) => other !== outstanding)
    outstanding.consumer.ended?.(outstanding.delivery)
    this.poke()
    return outstanding
  }

  #fail(ackId: string): void {
    const failed = this.#outstanding.get(ackId)
    if (!failed) return
    const { entry } = failed
    // Those of its key that were handed out after it come again after it.
    const { key } = entry
    const later = key ? key.outstanding.slice(key.outstanding.indexOf(failed) + 1) : []
    this.#release(ackId)
    entry.failures++
    const { retry, deadLetter } = this.policy
    if (deadLetter && entry.failures >= deadLetter.attemptsMax && deadLetter.forward(entry.message, entry.failures)) {
      this.#remove(entry)
      return
    }
    for (const { delivery } of later) this.#release(delivery.ackId)
    key?.entries.unshift([entry, ...later.map((other) => other.entry)])
    // https://cloud.google.com/pubsub/docs/handling-failures#exponential_backoff; the doubling is capped before it
    // overflows.
    const delayMs = retry ? Math.min(retry.minimumMs * 2 ** Math.min(entry.failures - 1, 30), retry.maximumMs) : 0
    if (delayMs === 0) {
      this.#queue(key ?? entry)
      return
    }
    const readyAt = this.#clock.now() + delayMs
    if (key) key.delayed = true
    this.#delayed.set(key ?? entry, readyAt)
    this.#wakeBy(readyAt)
  }

  #queue(item: Item): void {
    if ("entries" in item) return this.#goOn(item)
    this.#ready.push(item)
    this.poke()
  }

  /** Queues what an ordering key still has, as soon as it may go to somebody. */
  #goOn(key: OrderedKey): void {
    if (key.entries.length === 0) {
      if (key.outstanding.length === 0) this.#keys.delete(key.name)
      return
    }
    if (key.queued || key.delayed) return
    const kept = key.owner && this.#consumers.get(key.owner)
    if (!kept && key.outstanding.length > 0) return
    key.queued = true
    const queue = kept ?? this.#ready
    queue.push(key)
    this.poke()
  }

  #remove(entry: Entry): void {
    this.#unacknowledged.delete(entry.message.messageId)
    this.#onAcknowledged(entry.message)
    if (entry.key) this.#goOn(entry.key)
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
    const due: Item[] = []
    for (const [item, readyAt] of this.#delayed) {
      if (readyAt <= now) due.push(item)
      else nextAt = Math.min(nextAt, readyAt)
    }
    for (const item of due) {
      this.#delayed.delete(item)
      if ("entries" in item) item.delayed = false
      this.#queue(item)
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
