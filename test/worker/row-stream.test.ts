import { sql } from "drizzle-orm"
import * as fc from "fast-check"
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest"
import { RowStream } from "../../services/worker/row-stream.ts"
import { allRows, type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"
import { isOfSource } from "../../shared/database/read-source.ts"
import { isTransient } from "../../shared/transient.ts"
import { createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"

let database: TestDatabase
let source: DatabaseConnection

beforeAll(async () => {
  database = await createTestDatabase()
  await database.query(
    "CREATE TABLE digits (digit INT PRIMARY KEY)",
    "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
  )
  source = openDatabase({ url: database.url, connectionsMax: 1, readOnly: true })
})
afterAll(async () => {
  await source.close()
  await database.drop()
})

const open: RowStream<string[]>[] = []
afterEach(() => {
  for (const stream of open.splice(0)) stream.close()
})

function stream(query: ReturnType<typeof sql>, rowsPerBatch: number): RowStream<string[]> {
  const rows = new RowStream<string[]>(source.pool, query, rowsPerBatch)
  open.push(rows)
  return rows
}

/** A gigabyte, if anybody were to read it. */
const endless = sql`SELECT REPEAT('x', 1000) FROM digits a, digits b, digits c, digits d, digits e, digits f`

/** The server's connections that are at work on that gigabyte. */
const atWork = () =>
  database.query<{ id: string }>(
    "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE 'SELECT REPEAT%'",
  )

test("all rows of a result come in their order, in batches, whatever both sizes are", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(100), fc.integer({ min: 1, max: 30 }), async (count, rowsPerBatch) => {
      const rows = stream(
        sql`SELECT a.digit * 10 + b.digit AS n FROM digits a, digits b WHERE a.digit * 10 + b.digit < ${count} ORDER BY n`,
        rowsPerBatch,
      )
      const batches: number[][] = []
      for (let batch = await rows.next(); batch.length > 0; batch = await rows.next()) batches.push(batch.map(Number))
      expect(batches.flat()).toEqual(Array.from({ length: count }, (_, n) => n))
      expect(batches.slice(0, -1).every((batch) => batch.length === rowsPerBatch)).toBe(true)
      expect(await rows.next()).toEqual([])
      rows.close()
    }),
    { numRuns: 30 },
  )
})

test("no more is read than is asked for, and what is left is cut off rather than read", async () => {
  const before = process.memoryUsage().rss
  const rows = stream(endless, 100)
  for (let batch = 0; batch < 20; batch++) expect(await rows.next()).toHaveLength(100)
  expect(await atWork()).toHaveLength(1)
  rows.close()
  await vi.waitFor(async () => expect(await atWork()).toEqual([]), { interval: 20 })
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  // The pool has room for one connection: the one that was cut does not hold it.
  expect(allRows(await source.db.execute("SELECT '1' AS one"))).toEqual([{ one: "1" }])
})

test.each(["KILL CONNECTION", "KILL QUERY"])("a %s in the middle of the rows is an error that passes", async (kill) => {
  const rows = stream(endless, 100)
  await rows.next()
  const [working] = await atWork()
  await database.query(`${kill} ${working?.id}`)
  const readAll = async () => {
    while ((await rows.next()).length > 0);
  }
  const error = await readAll().then(
    () => undefined,
    (failure: unknown) => failure,
  )
  expect(error).toBeInstanceOf(Error)
  expect([isOfSource(error), isTransient(error)]).toEqual([true, true])
  rows.close()
  expect(allRows(await source.db.execute("SELECT '1' AS one"))).toEqual([{ one: "1" }])
})

test("a refused query is an error that does not pass", async () => {
  const error = await stream(sql`SELECT nothing FROM digits`, 10)
    .next()
    .catch((failure: unknown) => failure)
  expect([isOfSource(error), isTransient(error)]).toEqual([true, false])
})

test("a server that does not answer is an error that passes", async () => {
  const nobody = openDatabase({ url: "mysql://root@127.0.0.1:1/shop", connectionsMax: 1 })
  const error = await new RowStream(nobody.pool, sql`SELECT 1`, 10).next().catch((failure: unknown) => failure)
  expect([isOfSource(error), isTransient(error)]).toEqual([true, true])
  await nobody.close()
})

test("closing before there is a connection leaves none taken", async () => {
  const rows = new RowStream(source.pool, endless, 10)
  rows.close()
  expect(allRows(await source.db.execute("SELECT '1' AS one"))).toEqual([{ one: "1" }])
  expect(await atWork()).toEqual([])
})
