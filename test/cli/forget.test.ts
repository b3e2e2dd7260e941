import { pino } from "pino"
import { afterAll, beforeAll, expect, test } from "vitest"
import { InjectedError } from "../../services/emulators/faults.ts"
import { computeShard } from "../../services/worker/compute-shards.ts"
import { manifestPath, planPath } from "../../shared/documents/document-paths.ts"
import { createDocument, readDocument } from "../../shared/documents/documents.ts"
import { recordDuties } from "../../shared/ledger/duties/duties.ts"
import type { ShopRun } from "../../shared/ledger/runs/find-runs.ts"
import { claim, decide, fail, finish } from "../fixtures/play-run.ts"
import { type Cli, startCli } from "../fixtures/start-cli.ts"
import { insertPurchases, shopTables } from "../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"

let cli: Cli
let run: ShopRun
const options = { log: pino({ level: "silent" }) }
const db = () => cli.database.db

beforeAll(async () => {
  cli = await startCli()
  await cli.database.query(
    ...shopTables,
    insertPurchases([
      [4_711, 1_000, `${testDate} 10:00:00`],
      [4_712, 2_500, `${testDate} 11:00:00`],
    ]),
  )
  run = await beginRun(db(), cutAt(4_711n))
  for (const shardIndex of [0, 1]) await computeShard(db(), run, await claim(db(), run, shardIndex, 0))
  await cli.database.query("DELETE FROM purchases WHERE user_id = 4711")
})
afterAll(() => cli.stop())

const rows = () => cli.database.query("SELECT user_id FROM revenue_versions ORDER BY user_id")
const bounds = () =>
  cli.database.query("SELECT range_from AS `from`, range_to AS `to` FROM shards ORDER BY shard_index")

test.each([
  ["is at work", async () => undefined, "is running: ask again after its verdict"],
  ["has a verdict that is still to be sent", () => decide(db(), run, [{ index: 1, reason: "?" }]), "in a minute"],
  [
    "is incomplete",
    () => cli.database.query("UPDATE runs SET announced_at = NOW()"),
    "rerun it, or start the date anew",
  ],
])("of a date whose run %s nothing is erased, and that is said", async (_what, become, reason) => {
  await become()
  const { code, stdout } = await cli.daybook("forget", "4711")
  expect(code).toBe(1)
  expect(stdout).toMatch(/^erased: 0 rows of 0 days, 0 documents and 0 entries/)
  expect(stdout).toContain(`left: ${testDate}: `)
  expect(stdout).toContain(reason)
  expect(await rows()).toHaveLength(2)
  expect(await cli.database.query("SELECT ended_at FROM erasures WHERE ended_at IS NOT NULL")).toEqual([])
})

test("a document that the bucket keeps is named, and found again by the next", async () => {
  await cli.database.query("UPDATE runs SET state = 'complete'")
  const plan = '{"shards":[{"to":"4711"},{"from":"4711"}]}'
  await createDocument(cli.bucket, planPath(run.runId), plan, options)
  await createDocument(cli.bucket, manifestPath(run.runId, 0), '{"to":"4711"}', options)
  const release = cli.storageFaults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.endsWith("plan.json"),
    before: () => {
      throw new InjectedError("PERMISSION_DENIED", "the object is subject to a hold")
    },
  })
  const kept = await cli.daybook("forget", "4711", "--json")
  expect(kept.code).toBe(1)
  const { documents, left } = JSON.parse(kept.stdout) as {
    documents: string[]
    left: { where: string; reason: string }[]
  }
  expect(documents).toEqual([manifestPath(run.runId, 0)])
  expect(left).toMatchObject([
    { where: `gs://daybook/${planPath(run.runId)}`, reason: expect.stringContaining("hold") as string },
  ])
  expect(await readDocument(cli.bucket, manifestPath(run.runId, 0), options)).toBe('{"to":"4712"}')

  release()
  expect((await cli.daybook("forget", "4711")).code).toBe(0)
  expect(await readDocument(cli.bucket, planPath(run.runId), options)).toBe(plan.replaceAll("4711", "4712"))
  expect(await bounds()).toEqual([
    { from: null, to: "4712" },
    { from: "4712", to: null },
  ])
  expect(await rows()).toEqual([{ user_id: "4712" }])
})

test("an old run's error that names the user is a sentence about nobody", async () => {
  const older = await beginRun(db(), cutAt())
  await fail(db(), older, 0, "user 4711 spent too much")
  await finish(db(), older, [{ index: 0, reason: "user 4711 spent too much" }])
  const newer = await beginRun(db(), cutAt())
  await computeShard(db(), newer, await claim(db(), newer, 0, 0))
  await finish(db(), newer)
  expect((await cli.daybook("forget", "4711")).stdout).toContain("0 documents and 2 entries of the ledger")
  const [row] = await cli.database.query<{ error: string; verdict: string }>(
    `SELECT error, verdict FROM shards JOIN runs USING (run_id) WHERE run_id = '${older.runId}'`,
  )
  expect(row?.error).toBe("a forgotten user spent too much")
  expect(row?.verdict).toContain("a forgotten user spent too much")
})

test("an error of a duty that names the user is another one", async () => {
  const failure = { name: "prune-versions" as const, succeededAt: undefined, failures: 1, failingSince: new Date() }
  await recordDuties(db(), [{ ...failure, lastError: "Duplicate entry '2026-11-22-1-4711' for key 'PRIMARY'" }])
  expect((await cli.daybook("forget", "4711")).stdout).toContain("and 1 entry of the ledger")
  expect(await cli.database.query("SELECT last_error AS error FROM duties")).toEqual([
    { error: "an error that named a forgotten user" },
  ])
})
