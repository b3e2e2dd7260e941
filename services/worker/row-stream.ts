import type { SQL } from "drizzle-orm"
import { MySqlDialect } from "drizzle-orm/mysql-core"
import type { Pool, PoolConnection } from "mysql2"
import { discardConnection } from "../../shared/database/discard-connection.ts"
import { SourceError } from "../../shared/database/read-source.ts"

const dialect = new MySqlDialect()

/**
 * The rows of one query, in batches, as they come from the server. While one batch is being dealt with the next is
 * read, and no more: the connection is paused until somebody asks, so that memory holds two batches and what one
 * packet of the network brought, whatever the size of the result.
 *
 * mysql2 has `query.stream()` for this, and drizzle `iterator()` on top; but when the connection is lost under a query
 * without a callback, mysql2 tells the connection and not the query, and both wait for ever.
 */
export class RowStream<Row extends unknown[]> {
  readonly #rowsPerBatch: number
  #rows: Row[] = []
  #isWhole = false
  #failure: SourceError | undefined
  #connection: PoolConnection | undefined
  #isClosed = false
  #wake: () => void = () => {}

  /** Begins at once; whatever fails is thrown by `next`. */
  constructor(pool: Pool, query: SQL, rowsPerBatch: number) {
    this.#rowsPerBatch = rowsPerBatch
    pool.getConnection((error, connection) => {
      if (error) this.#fail(error)
      else if (this.#isClosed) connection.release()
      else this.#start(connection, query)
    })
  }

  /** The next rows: as many as a batch has, fewer at the end, none after it. */
  async next(): Promise<Row[]> {
    while (!this.#isWhole && !this.#failure && this.#rows.length < this.#rowsPerBatch) {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    if (this.#failure) throw this.#failure
    const batch = this.#rows
    this.#rows = []
    if (!this.#isWhole) this.#connection?.resume()
    return batch
  }

  /** Gives the connection back, or cuts it where rows are still to come: reading them to throw them away is no use. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const connection = this.#connection
    if (!connection) return
    connection.off("error", this.#fail)
    connection.off("end", this.#lose)
    if (this.#isWhole) {
      connection.release()
      return
    }
    discardConnection(connection)
  }

  #start(connection: PoolConnection, query: SQL): void {
    this.#connection = connection
    connection.on("error", this.#fail)
    connection.on("end", this.#lose)
    const { sql, params } = dialect.sqlToQuery(query)
    const command = connection.query({ sql, values: params, rowsAsArray: true })
    command.on("result", (row) => {
      this.#rows.push(row as unknown as Row)
      if (this.#rows.length < this.#rowsPerBatch) return
      connection.pause()
      this.#wake()
    })
    command.on("error", this.#fail)
    // Also follows an error.
    command.on("end", () => {
      this.#isWhole = this.#failure === undefined
      this.#wake()
    })
  }

  readonly #fail = (cause: Error) => {
    this.#failure ??= new SourceError(cause)
    this.#wake()
  }

  readonly #lose = () => {
    if (this.#isWhole) return
    const lost = new Error("the server closed the connection")
    this.#fail(Object.assign(lost, { code: "PROTOCOL_CONNECTION_LOST", fatal: true }))
  }
}
