import type { SQL } from "drizzle-orm"
import type { Pool } from "mysql2"
import { parseUserId } from "../../schemas/database/user-type.ts"
import { type RevenueCells, type ShopDay, selectRevenueCells } from "../../shared/day/shop-day.ts"
import { ofUsers, selectBuyers } from "../../shared/day/user-batches.ts"
import type { Range, Span } from "../../shared/range.ts"
import { RowStream } from "./row-stream.ts"

/** What the users of a range bought, a batch of users at a time. While one is being dealt with the next is read. */
export class UserBatchStream {
  readonly #pool: Pool
  readonly #day: ShopDay
  #rest: Span
  readonly #usersPerBatch: number
  #stream: { close(): void } | undefined
  #coming: Promise<RevenueCells[]>
  #isClosed = false

  /** Begins at once; whatever fails is thrown by `next`. */
  constructor(pool: Pool, day: ShopDay, range: Range, usersPerBatch: number) {
    this.#pool = pool
    this.#day = day
    this.#rest = range
    this.#usersPerBatch = usersPerBatch
    this.#coming = this.#begin()
  }

  /** The totals of the next users: none after the last. */
  async next(): Promise<RevenueCells[]> {
    const batch = await this.#coming
    if (batch.length > 0) this.#coming = this.#begin()
    return batch
  }

  close(): void {
    this.#isClosed = true
    this.#stream?.close()
  }

  #begin(): Promise<RevenueCells[]> {
    const coming = this.#readBatch()
    // Where the database fails first, nobody asks for it any more.
    coming.catch(() => {})
    return coming
  }

  async #readBatch(): Promise<RevenueCells[]> {
    while (!this.#isClosed) {
      const buyers = await this.#read<[string | number, string]>(
        selectBuyers(this.#day, this.#rest, this.#usersPerBatch),
      )
      const userIds = buyers.map(([userId]) => parseUserId(this.#day.shop.layout.userType, String(userId)))
      if (userIds.length === 0) break
      this.#rest = { ...this.#rest, after: userIds.at(-1) }
      const totals = await this.#read<RevenueCells>(selectRevenueCells(this.#day, ofUsers(this.#day, userIds)))
      // None: their purchases have gone in between.
      if (totals.length > 0) return totals
    }
    return []
  }

  /** All rows of a query that has but a few for each user of a batch. */
  async #read<Row extends unknown[]>(query: SQL): Promise<Row[]> {
    if (this.#isClosed) return []
    const stream = new RowStream<Row>(this.#pool, query, this.#usersPerBatch + 1)
    this.#stream = stream
    const rows: Row[] = []
    try {
      for (;;) {
        const more = await stream.next()
        rows.push(...more)
        if (more.length <= this.#usersPerBatch) return rows
      }
    } finally {
      stream.close()
    }
  }
}
