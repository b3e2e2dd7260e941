import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { plainShop } from "../../schemas/database/shop.ts"
import { formatJson } from "../../schemas/json.ts"
import { RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { auditDay } from "../../services/finalizer/proof/audit-day.ts"
import { computeShard } from "../../services/worker/compute-shards.ts"
import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { createDocument } from "../../shared/documents/documents.ts"
import { findNextAudit } from "../../shared/ledger/audits/find-audits.ts"
import { requestAudits } from "../../shared/ledger/audits/request-audits.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { claim, finish } from "../fixtures/play-run.ts"
import { type Cli, startCli, WAIT } from "../fixtures/start-cli.ts"
import { insertPurchases, shopTables } from "../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"
import { unthrottled } from "../fixtures/unthrottled.ts"

let cli: Cli
let asked = 0
const db = () => cli.database.db

beforeAll(async () => {
  cli = await startCli()
  await cli.database.query(
    ...shopTables,
    insertPurchases([
      [1, 1_000, `${testDate} 10:00:00`],
      [2, 2_500, `${testDate} 11:00:00`],
    ]),
  )
  const run = await beginRun(db(), cutAt())
  await computeShard(db(), run, await claim(db(), run, 0, 0))
  await finish(db(), run)
})
afterAll(() => cli.stop())

const published = () => cli.published("audit-requests", ++asked)

/** Carries out what was asked for, as the finalizer would. */
async function carryOut(messageId: string): Promise<void> {
  await requestAudits(db(), messageId, [testDate], new Date())
  const audit = await findNextAudit(db(), [])
  if (!audit) throw new Error("no audit was asked for")
  await auditDay({ db: db(), shopDb: db(), shop: plainShop, throttle: unthrottled }, audit, false, () => true)
}

test("audit publishes the date, or the first and the last, and says where the result will be", async () => {
  const one = await cli.daybook("audit", testDate)
  const { messageId, data } = await published()
  expect(data).toEqual({ date: testDate })
  expect(one).toMatchObject({ code: 0, stderr: "" })
  expect(one.stdout).toContain(`message ${messageId}`)
  const range = await cli.daybook("audit", "2026-11-01..2026-11-22", "--json")
  const second = await published()
  expect(second.data).toEqual({ from: "2026-11-01", to: "2026-11-22" })
  expect(JSON.parse(range.stdout)).toEqual({ requestId: second.messageId })
  await cli.daybook("audit", "yesterday")
  expect((await published()).data).toEqual({ date: "yesterday" })
})

test("--wait exits 0 for a day that is the shop's, and 1 with the users for one that has drifted", async () => {
  const same = cli.daybook("audit", testDate, "--wait")
  await carryOut((await published()).messageId)
  expect(await same).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/2026-11-22 +1 +same +0 +35\.00/) as string,
  })

  await cli.database.query("UPDATE purchases SET user_id = 2 WHERE user_id = 1")
  const drifted = cli.daybook("audit", testDate, "--wait")
  await carryOut((await published()).messageId)
  const { code, stdout } = await drifted
  expect(code).toBe(1)
  expect(stdout).toMatch(/2026-11-22 +1 +drifted +2 +35\.00 +35\.00/)
  expect(stdout).toContain("2026-11-22, shard 0:")

  const status = await cli.daybook("status", testDate)
  expect(status.stdout).toMatch(/audited .*: the shop differs for 2 users/)
})

test("--wait --json prints the documents of the audits", async () => {
  const typed = cli.daybook("audit", testDate, "--wait", "--json")
  const { messageId } = await published()
  await carryOut(messageId)
  const { code, stdout } = await typed
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({
    requestId: messageId,
    audits: [
      {
        date: testDate,
        state: "drifted",
        usersDiffering: "2",
        drifted: [{ index: 0, users: [{ userId: "1" }, { userId: "2" }] }],
      },
    ],
  })
})

test("a request that is rejected says why and exits 1; what waits goes on after Ctrl-C, which is said", async () => {
  const typed = cli.daybook("audit", "2026-01-01", "--wait")
  const { messageId } = await published()
  const rejection = {
    verdict: "rejected",
    requestId: messageId,
    decidedAt: new Date().toISOString(),
    reason: "not published",
  }
  const log = await createLog("test", "silent")
  await createDocument(
    cli.bucket,
    rejectionPath("audit-requests", messageId),
    formatJson(RunVerdictSchema, rejection),
    { log },
  )
  expect(await typed).toMatchObject({ code: 1, stdout: expect.stringContaining("rejected: not published") as string })

  const waiting = cli.daybook("audit", testDate, "--wait")
  const { messageId: other } = await published()
  await vi.waitFor(() => expect(waiting.seen().stderr).toContain(other), WAIT)
  waiting.interrupt()
  expect(await waiting).toMatchObject({ code: 130, stderr: expect.stringContaining("go on by themselves") as string })
})

test.each([["2026-11-22..2026-11-01"], ["2026-11-22.."], ["all"]])(
  "%s is no date and no range, and is refused with exit code 2",
  async (text) => {
    const { code, stderr } = await cli.daybook("audit", text)
    expect(code).toBe(2)
    expect(stderr).not.toBe("")
  },
)
