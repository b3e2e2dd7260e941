import type { RowDataPacket } from "mysql2/promise"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { InjectedError } from "../../../services/emulators/faults.ts"
import { allRows, type Database, openDatabase } from "../../../shared/database/open-database.ts"
import { inTransaction } from "../../../shared/database/transaction.ts"
import { CommitUnknownError, describeError } from "../../../shared/errors.ts"
import { isLasting, isTransient } from "../../../shared/transient.ts"
import { type BehindProxy, nextConnection, openBehindProxy, refusals } from "../../fixtures/behind-proxy.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"

const database = useTestDatabase("CREATE TABLE notes (note VARCHAR(20) PRIMARY KEY) ENGINE = InnoDB")
let service: BehindProxy

beforeAll(async () => {
  service = await openBehindProxy(database)
})
afterAll(() => service.stop())
beforeEach(() => database.query("DELETE FROM notes"))
afterEach(() => {
  if (!service.hasRefused()) throw new Error("a statement that was to be refused has not come")
})

const write = (db: Database, note: string) => db.execute(`INSERT INTO notes VALUES ('${note}')`)
const writeInTransaction = (note: string) => inTransaction(service.db, (tx) => write(tx, note))
const notes = async () =>
  (await database.query<{ note: string }>("SELECT note FROM notes ORDER BY note")).map(({ note }) => note)
const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Runs what is to fail; returns its error, and whether the pool gives the next caller the same connection. */
async function fail(work: () => Promise<unknown>): Promise<{ error: unknown; isSameConnection: boolean }> {
  const before = await nextConnection(service.pool)
  const error = await failure(work())
  return { error, isSameConnection: (await nextConnection(service.pool)) === before }
}

test("what is done in a transaction is committed together, and its connection serves the next caller", async () => {
  const before = await nextConnection(service.pool)
  const result = await inTransaction(service.db, async (tx) => {
    await write(tx, "one")
    await write(tx, "two")
    expect(await notes()).toEqual([])
    return "done"
  })
  expect(result).toBe("done")
  expect(await notes()).toEqual(["one", "two"])
  expect(await nextConnection(service.pool)).toBe(before)
})

test("a statement that is refused undoes all, and the connection serves the next caller once that is confirmed", async () => {
  service.refuseOnce(/two/, refusals.denied)
  const { error, isSameConnection } = await fail(() =>
    inTransaction(service.db, async (tx) => {
      await write(tx, "one")
      await write(tx, "two")
    }),
  )
  expect(describeError(error)).toMatch(/command denied/)
  expect(isSameConnection).toBe(true)
  await writeInTransaction("three")
  expect(await notes()).toEqual(["three"])
})

test("where ROLLBACK is refused, too, the connection is discarded, and the next transaction commits nothing of the first", async () => {
  service.refuseOnce(/two/)
  service.refuseOnce(/^rollback/, refusals.denied)
  const { error, isSameConnection } = await fail(() =>
    inTransaction(service.db, async (tx) => {
      await write(tx, "one")
      await write(tx, "two")
    }),
  )
  // The error that led there, not that of the rollback.
  expect(describeError(error)).toMatch(/Lock wait/)
  expect(isSameConnection).toBe(false)
  await writeInTransaction("three")
  expect(await notes()).toEqual(["three"])
})

test("where BEGIN is refused, the pool serves the next caller, by another connection", async () => {
  service.refuseOnce(/^begin/)
  const { error, isSameConnection } = await fail(() => writeInTransaction("one"))
  expect(isTransient(error)).toBe(true)
  expect(isSameConnection).toBe(false)
  await writeInTransaction("two")
  expect(await notes()).toEqual(["two"])
})

test.each([
  ["by an error that passes", refusals.lockWait, true],
  ["by one that lasts", refusals.denied, false],
])(
  "where COMMIT is refused %s, nothing is committed, and the connection is discarded",
  async (_how, refusal, passes) => {
    service.refuseOnce(/^commit/, refusal)
    const { error, isSameConnection } = await fail(() => writeInTransaction("one"))
    expect(error).not.toBeInstanceOf(CommitUnknownError)
    expect([isTransient(error), isLasting(error)]).toEqual([passes, !passes])
    expect(isSameConnection).toBe(false)
    await writeInTransaction("two")
    expect(await notes()).toEqual(["two"])
  },
)

test.each(["before", "after"] as const)(
  "a connection that is lost %s the server commits leaves open which it is, and that passes",
  async (moment) => {
    let isDue = true
    const remove = service.proxy.faults.add({
      matches: ({ request }) => isDue && String(request).startsWith("commit"),
      [moment]: () => {
        isDue = false
        throw new InjectedError("ABORTED", "the connection is cut")
      },
    })
    const { error, isSameConnection } = await fail(() => writeInTransaction("one"))
    remove()
    expect(error).toBeInstanceOf(CommitUnknownError)
    expect([isTransient(error), isLasting(error)]).toEqual([true, false])
    expect(isSameConnection).toBe(false)
    expect(await notes()).toEqual(moment === "before" ? [] : ["one"])
  },
)

test("an answer to COMMIT that says that it was cut short leaves open how far it came", async () => {
  service.refuseOnce(/^commit/, refusals.interrupted)
  const { error } = await fail(() => writeInTransaction("one"))
  expect(error).toBeInstanceOf(CommitUnknownError)
})

test("an error of the work itself undoes all, as it is", async () => {
  const stop = new Error("enough")
  const { error, isSameConnection } = await fail(() =>
    inTransaction(service.db, async (tx) => {
      await write(tx, "one")
      throw stop
    }),
  )
  expect(error).toBe(stop)
  expect(isSameConnection).toBe(true)
  expect(await notes()).toEqual([])
})

test("a refusal that the work does not mind undoes all nevertheless: the server may have undone it by itself", async () => {
  service.refuseOnce(/two/, refusals.lockWait)
  const { error } = await fail(() =>
    inTransaction(service.db, async (tx) => {
      await write(tx, "one")
      await write(tx, "two").catch(() => undefined)
      await write(tx, "three")
    }),
  )
  expect(describeError(error)).toMatch(/Lock wait/)
  expect(await notes()).toEqual([])
})

test("a connection to a server that has become read-only is discarded: a fresh one may lead to the new primary", async () => {
  service.refuseOnce(/one/, refusals.readOnly)
  const { isSameConnection } = await fail(() => writeInTransaction("one"))
  expect(isSameConnection).toBe(false)
})

test("a transaction is not opened inside another", async () => {
  const { error } = await fail(() =>
    inTransaction(service.db, async (tx) => {
      await write(tx, "one")
      await inTransaction(tx, (inner) => write(inner, "two"))
    }),
  )
  expect(describeError(error)).toMatch(/inside another/)
  expect(await notes()).toEqual([])
})

test("a statement after the end of its transaction is refused and does not reach the server", async () => {
  let left: Database | undefined
  await inTransaction(service.db, async (tx) => {
    left = tx
  })
  await expect(write(left as Database, "late")).rejects.toThrow("Failed query")
  expect(await notes()).toEqual([])
})

test("a session whose settings are refused is discarded with the server's own error, and the next caller is served", async () => {
  service.refuseOnce(/^SET SESSION sql_mode/, refusals.tooMany)
  const connection = await service.pool.promise().getConnection()
  connection.destroy()
  const error = await failure(writeInTransaction("one"))
  expect(describeError(error)).toMatch(/max_queries_per_hour/)
  expect(isTransient(error)).toBe(true)
  await writeInTransaction("two")
  expect(await notes()).toEqual(["two"])
})

describe("a snapshot", () => {
  const count = async (db: Database) =>
    Number(allRows<{ n: string }>(await db.execute("SELECT COUNT(*) AS n FROM notes"))[0]?.n)

  /** The database's own connections, and a separate source's, as its Database and as its plain pool. */
  const places: [string, () => { on: Database | BehindProxy["pool"]; db: Database; close: () => Promise<void> }][] = [
    ["of the database", () => ({ on: service.db, db: service.db, close: async () => {} })],
    ["of a separate source", () => openReadOnly((source) => source.db)],
    ["of a separate source's plain pool", () => openReadOnly((source) => source.pool)],
  ]

  function openReadOnly(choose: (source: ReturnType<typeof openDatabase>) => Database | BehindProxy["pool"]) {
    const source = openDatabase({ url: database.url, connectionsMax: 1, readOnly: true })
    return { on: choose(source), db: source.db, close: source.close }
  }

  test.each(places)(
    "%s sees one moment, from its beginning, and writes nothing; its session goes on as before",
    async (_of, open) => {
      const { on, db, close } = open()
      const counted = await inTransaction(
        on,
        async (tx) => {
          // The moment is that of the beginning, not of the first read.
          await database.query("INSERT INTO notes VALUES ('one')")
          const first = await count(tx)
          await database.query("INSERT INTO notes VALUES ('two')")
          return [first, await count(tx)]
        },
        { snapshot: true, readOnly: true },
      )
      expect(counted).toEqual([0, 0])
      const error = await failure(inTransaction(on, (tx) => write(tx, "no"), { snapshot: true, readOnly: true }))
      expect(describeError(error)).toMatch(/READ ONLY transaction/)
      const committed = await inTransaction(on, async (tx) => {
        const before = await count(tx)
        await database.query("INSERT INTO notes VALUES ('three')")
        return [before, await count(tx)]
      })
      expect(committed).toEqual([2, 3])
      expect(await isolationOf(db)).toBe("READ-COMMITTED")
      await close()
    },
  )

  async function isolationOf(db: Database): Promise<string | undefined> {
    const rows = await db.execute("SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')")
    return allRows<RowDataPacket>(rows)[0]?.["Value"] as string | undefined
  }

  test("that may write does so", async () => {
    await inTransaction(service.db, (tx) => write(tx, "one"), { snapshot: true })
    expect(await notes()).toEqual(["one"])
  })
})
