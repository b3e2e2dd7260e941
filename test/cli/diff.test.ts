import { beforeEach, expect, test } from "vitest"
import { finish } from "../fixtures/play-run.ts"
import { typeCommand } from "../fixtures/start-cli.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

const diff = (...args: string[]) => typeCommand(["diff", ...args], { DATABASE_URL: database.url })

/** A complete version with these rows. */
async function addVersion(rows: [user: number, amount: number, purchases: number][]) {
  const run = await beginRun(database.db, cutAt())
  await finish(database.db, run)
  const values = rows.map((row) => `('${testDate}', ${run.version}, ${row.join(", ")})`)
  await database.query(`INSERT INTO revenue_versions VALUES ${values.join(", ")}`)
  return run
}

test("what readers see is compared with the version before, the largest differences first", async () => {
  await addVersion([
    [1, 100, 1],
    [2, 200, 1],
    [3, 300, 1],
  ])
  await addVersion([
    [1, 100, 1],
    [2, 250, 2],
    [4, 400, 1],
  ])
  const { code, stdout } = await diff(testDate)
  expect(code).toBe(0)
  expect(stdout).toContain(`${testDate}: version 2 compared with version 1`)
  expect(stdout).toContain("1 users added, 1 changed, 1 removed")
  expect(
    stdout
      .trimEnd()
      .split("\n")
      .slice(-3)
      .map((line) => line.trim().split(/ +/)),
  ).toEqual([
    ["4", "4.00", "1", "4.00"],
    ["3", "3.00", "1", "-3.00"],
    ["2", "2.00", "1", "2.50", "2", "0.50"],
  ])
  expect(JSON.parse((await diff(testDate, "2", "1", "--json")).stdout)).toMatchObject({
    before: 2,
    after: 1,
    added: "1",
    removed: "1",
  })
  const lines = (await diff(testDate, "--all")).stdout.trimEnd().split("\n")
  expect(lines.map((line) => (JSON.parse(line) as { userId: string }).userId)).toEqual(["2", "3", "4"])
})

test("a version that is gone, or alone, is said to be, with those that are there", async () => {
  expect(await diff(testDate)).toMatchObject({ code: 1, stderr: expect.stringContaining("no version") as string })
  const first = await addVersion([[1, 1, 1]])
  expect((await diff(testDate)).stderr).toContain("nothing to compare version 1")
  await addVersion([[1, 1, 1]])
  await addVersion([[1, 1, 1]])
  await database.query(`UPDATE runs SET pruned_at = NOW() WHERE run_id = '${first.runId}'`)
  expect((await diff(testDate, "1", "3")).stderr).toContain(
    "Version 1 of 2026-11-22 is not there, or not any more: of 2026-11-22 there are versions 2, 3.",
  )
  expect(await diff(testDate, "1")).toMatchObject({ code: 2 })
})
