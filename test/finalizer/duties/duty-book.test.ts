import { pino } from "pino"
import { beforeEach, expect, test } from "vitest"
import { createDutyBook } from "../../../services/finalizer/duties/duty-book.ts"
import {
  type DutyName,
  type DutyRecord,
  listFailingDuties,
  recordDuties,
} from "../../../shared/ledger/duties/duties.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

interface Line {
  message: string
  duty?: string
  failures?: number
  error?: string
}
const lines: Line[] = []
const log = pino({ messageKey: "message" }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) })
const bookOf = () => {
  lines.length = 0
  return createDutyBook({ db: database.db, log })
}

const minute = (n: number) => new Date(Date.UTC(2026, 10, 23, 12, n))
const success = (name: DutyName, n: number): DutyRecord => ({
  name,
  succeededAt: minute(n),
  failures: 0,
  failingSince: undefined,
  lastError: undefined,
})
const failure = (name: DutyName, n: number): DutyRecord => ({
  name,
  succeededAt: undefined,
  failures: 1,
  failingSince: minute(n),
  lastError: `error ${n}`,
})
const failing = () => listFailingDuties(database.db)

test("a duty needs attention from the third failure in a row until it succeeds", async () => {
  const book = bookOf()
  await book([success("fill-gaps", 0), success("plan-night", 0)])
  for (const n of [1, 2]) await book([failure("fill-gaps", n), success("plan-night", n)])
  expect(await failing()).toEqual([])
  expect(lines).toEqual([])
  await book([failure("fill-gaps", 3)])
  const since = minute(1)
  expect(await failing()).toEqual([
    { name: "fill-gaps", failures: 3, failingSince: since, lastError: "error 3", succeededAt: minute(0) },
  ])
  expect(lines).toMatchObject([{ message: "a duty keeps failing", duty: "fill-gaps", failures: 3, error: "error 3" }])
  await book([success("fill-gaps", 4)])
  expect(await failing()).toEqual([])
  for (const n of [5, 6]) await book([failure("fill-gaps", n)])
  expect(await failing()).toEqual([])
})

test("failures of several finalizers add up, and a success of any of them ends the row", async () => {
  const [one, other] = [bookOf(), bookOf()]
  await Promise.all([one([failure("fill-gaps", 1)]), other([failure("fill-gaps", 1)])])
  await one([failure("fill-gaps", 2)])
  expect(await failing()).toMatchObject([{ name: "fill-gaps", failures: 3 }])
  await other([success("fill-gaps", 3)])
  await one([failure("fill-gaps", 4)])
  expect(await failing()).toEqual([])
})

test("while the ledger refuses, the log says it, and what was missed is written afterwards", async () => {
  const book = bookOf()
  await book([success("fill-gaps", 0), success("plan-night", 0)])
  await database.query("RENAME TABLE duties TO hidden")
  try {
    for (const n of [1, 2]) expect(await book([failure("fill-gaps", n), failure("plan-night", n)])).toBe(false)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({
      message: expect.stringContaining("cannot be written to the ledger") as string,
      error: expect.stringContaining("duties") as string,
    })
    expect(await book([failure("fill-gaps", 3), success("plan-night", 3)])).toBe(false)
    expect(lines.at(-1)).toMatchObject({ message: "a duty keeps failing", duty: "fill-gaps", failures: 3 })
  } finally {
    await database.query("RENAME TABLE hidden TO duties")
  }
  expect(await book([])).toBe(true)
  expect(await failing()).toMatchObject([{ name: "fill-gaps", failures: 3, failingSince: minute(1) }])
  const [planned] = await database.query("SELECT failures FROM duties WHERE name = 'plan-night'")
  expect(planned).toEqual({ failures: 0 })
})

test("a ledger that does not answer holds nothing up, and what it was told counts once", async () => {
  const book = bookOf()
  const other = await database.pool.promise().getConnection()
  await other.query("LOCK TABLES duties WRITE")
  try {
    const startedMs = performance.now()
    for (const n of [1, 2]) expect(await book([failure("fill-gaps", n)])).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(15_000)
  } finally {
    await other.query("UNLOCK TABLES")
    other.release()
  }
  expect(await book([failure("fill-gaps", 3)])).toBe(true)
  expect(await failing()).toMatchObject([{ name: "fill-gaps", failures: 3, failingSince: minute(1) }])
})

test("a duty of another version of Daybook is not told, for nobody would ever end its row", async () => {
  await recordDuties(database.db, [{ ...failure("sing" as DutyName, 1), failures: 9 }])
  expect(await failing()).toEqual([])
})
