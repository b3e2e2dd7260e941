import { pino } from "pino"
import { afterAll, beforeAll, expect, test } from "vitest"
import { failBefore } from "../../services/emulators/faults.ts"
import { manifestPath, planPath } from "../../shared/documents/document-paths.ts"
import { createDocument, listDocuments } from "../../shared/documents/documents.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { finish } from "../fixtures/play-run.ts"
import { type Cli, startCli } from "../fixtures/start-cli.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"

let cli: Cli
const runs: Run[] = []
const options = { log: pino({ level: "silent" }) }

beforeAll(async () => {
  cli = await startCli()
  for (let version = 1; version <= 4; version++) {
    const run = await beginRun(cli.database.db, cutAt(5n))
    // Readers see the second, and the newest is incomplete.
    await finish(cli.database.db, run, version === 2 ? [] : [{ index: 0, reason: "?" }])
    for (const path of [planPath(run.runId), manifestPath(run.runId, 0)])
      await createDocument(cli.bucket, path, "{}", options)
    runs.push(run)
  }
  await cli.database.query(
    "UPDATE runs SET decided_at = NOW() - INTERVAL 500 DAY, pruned_at = NOW() WHERE version <> 3",
  )
})
afterAll(() => cli.stop())

const documents = async () => (await listDocuments(cli.bucket, "", options)).map(({ path }) => path)
const left = async () =>
  (await cli.database.query<{ version: number }>("SELECT version FROM runs ORDER BY version")).map((run) => run.version)

test("a dry run lists what is old and behind nothing that readers see, and deletes nothing", async () => {
  const { code, stdout } = await cli.daybook("retention", "--dry-run")
  expect(code).toBe(0)
  expect(stdout).toContain("would be deleted: 1 runs, 0 audits and 0 messages about days (older than 400 days)")
  expect(stdout).toContain(runs[0]?.runId)
  expect(await left()).toEqual([1, 2, 3, 4])
})

test("a run whose documents are under a hold is left, named, and found again", async () => {
  const release = cli.storageFaults.add(failBefore({ method: "storage.objects.delete" }, "PERMISSION_DENIED", 100))
  const { code, stdout } = await cli.daybook("retention")
  release()
  expect(code).toBe(1)
  expect(stdout).toContain("deleted: 0 runs")
  expect(stdout).toContain(`left: run ${runs[0]?.runId}: `)
  expect(await left()).toEqual([1, 2, 3, 4])
})

test("what is deleted is gone with its documents; the shown version, the newest and those with rows stay", async () => {
  const { stdout } = await cli.daybook("retention", "--json")
  expect(JSON.parse(stdout)).toMatchObject({
    dryRun: false,
    runs: [{ runId: runs[0]?.runId, version: 1, revenueDate: testDate }],
  })
  expect(await left()).toEqual([2, 3, 4])
  const paths = await documents()
  expect(paths).toHaveLength(6)
  expect(paths.some((path) => path.includes(runs[0]?.runId ?? ""))).toBe(false)
  expect(await cli.database.query(`SELECT 1 FROM shards WHERE run_id = '${runs[0]?.runId}'`)).toEqual([])
  expect((await cli.daybook("retention")).stdout).toContain("deleted: 0 runs")
})
