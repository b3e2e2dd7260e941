import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { readChecks, runChecks } from "../../../services/finalizer/verdict/run-checks.ts"
import { isTransient } from "../../../shared/transient.ts"
import { openBehindProxy, refusals } from "../../fixtures/behind-proxy.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"
import { admitNewRun } from "../../fixtures/test-run.ts"

const database = useTestDatabase()

const seen = { revenue: { rows: 4n, purchases: 6n, amountCents: 3n, parts: [] }, largestCents: 10n }

async function objectionsTo(...queries: string[]) {
  const run = await admitNewRun(database.db)
  await database.forgetRuns()
  const checks = queries.map((query, at) => ({ name: `c${at}`, severity: "block" as const, meaning: "m", query }))
  return runChecks(database.db, checks, run, seen)
}

test("a check is asked with the day, its version and what it adds up to, and passes without a row", async () => {
  const query =
    "SELECT :date AS d, :version AS v, :users AS u, :purchases AS p, :amount_cents AS a, :largest_amount_cents AS l"
  const [objection, ...others] = await objectionsTo(`${query} FROM DUAL`, `${query} FROM DUAL WHERE :users > 4`)
  expect(others).toEqual([])
  expect(Object.values(JSON.parse(objection?.rows[0] ?? "") as object).map(String)).toEqual([
    "2026-11-22",
    "1",
    "4",
    "6",
    "3",
    "10",
  ])
})

test("twenty rows are kept, and what the server refuses objects, too", async () => {
  const [many, refused] = await objectionsTo(
    "SELECT 1 FROM information_schema.COLUMNS LIMIT 30",
    "SELECT nothing FROM nowhere",
  )
  expect(many?.rows).toHaveLength(20)
  expect(refused?.rows).toEqual([expect.stringMatching(/"error":".*nowhere/)])
})

test("a connection that is lost, or a lock that is not granted, is no objection: the check is asked again", async () => {
  const run = await admitNewRun(database.db)
  await database.forgetRuns()
  const service = await openBehindProxy(database)
  const check = { name: "c", severity: "block" as const, meaning: "m", query: "SELECT 1 FROM DUAL WHERE 1 = 2 /* c */" }
  try {
    for (const error of [refusals.lost, refusals.lockWait, refusals.readOnly]) {
      service.refuseOnce(/\/\* c \*\//, error)
      const asked = runChecks(service.db, [check], run, seen)
      await expect(asked).rejects.toSatisfy(isTransient)
      expect(service.hasRefused()).toBe(true)
      expect(await runChecks(service.db, [check], run, seen)).toEqual([])
    }
  } finally {
    await service.stop()
  }
})

test("a file that does not say what follows is refused, and named", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daybook-checks-"))
  await writeFile(join(folder, "b.sql"), "-- warn: something\nSELECT 1;\n")
  expect(readChecks(folder)).toEqual([
    { name: "b", severity: "warn", meaning: "something", query: "-- warn: something\nSELECT 1" },
  ])
  await writeFile(join(folder, "a.sql"), "SELECT 1")
  expect(() => readChecks(folder)).toThrow(/a\.sql does not begin with/)
  await rm(folder, { recursive: true })
})
