import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { failBefore } from "../../services/emulators/faults.ts"
import { startStorage } from "../../services/emulators/storage/server.ts"
import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { createDocument } from "../../shared/documents/documents.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { startPage } from "../fixtures/page-fixture.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"

const database = useTestDatabase()
let folder: string
let storage: Awaited<ReturnType<typeof startStorage>>
let page: Awaited<ReturnType<typeof startPage>>
let bucket: ReturnType<typeof openBucket>
let seconds = 0
let looks = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-asked-"))
  storage = await startStorage({ folder })
  storage.faults.add({ matches: ({ method }) => method === "storage.objects.get", before: () => void looks++ })
  bucket = openBucket({ BUCKET: "daybook", STORAGE_EMULATOR_HOST: storage.url })
  await bucket.create()
  const begun = Date.parse("2026-11-25T05:00:00Z")
  page = await startPage(database, { bucket, now: () => new Date(begun + seconds * 1_000) })
})
afterAll(async () => {
  await page?.close()
  await storage?.stop()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(() => {
  looks = 0
})

const reject = async (messageId: string) =>
  createDocument(bucket, rejectionPath("run-requests", messageId), '{"reason":"the shop has no index"}', {
    log: await createLog("test", "silent"),
  })

/** Polls once a second as the page does; returns the page's own pause and text at the end. */
async function pollFor(messageId: string, forSeconds: number) {
  let etag = ""
  let text = ""
  for (let n = 0; n < forSeconds; n++, seconds++) {
    const headers = etag === "" ? {} : { "if-none-match": etag }
    const answer = await fetch(`${page.url}/?asked=${messageId}&topic=run-requests`, { headers })
    etag = answer.headers.get("etag") ?? etag
    if (answer.status === 200) text = await answer.text()
  }
  return { text, pollMs: Number(/data-poll="(\d+)"/.exec(text)?.[1]) }
}

test("a page that stays open on a request looks into the bucket less and less often, and stops", async () => {
  const { text, pollMs } = await pollFor("1", 180)
  expect(text).toContain("Asked: message <code>1</code>")
  expect(looks).toBeGreaterThan(4)
  expect(looks).toBeLessThan(12)
  // Nobody waits for it any more.
  expect(pollMs).toBe(10_000)
  seconds += 15 * 60
  looks = 0
  await pollFor("1", 60)
  expect(looks).toBe(0)
})

test("several pages on one request look once, and a rejection is read once", async () => {
  await Promise.all([pollFor("2", 1), pollFor("2", 1), pollFor("2", 1)])
  expect(looks).toBe(1)
  await reject("2")
  looks = 0
  const { text } = await pollFor("2", 30)
  expect(text).toContain("was rejected: the shop has no index")
  expect(looks).toBe(1)
})

test("a bucket that is away is asked no more often, and its answer is told once it is back", async () => {
  const remove = storage.faults.add(failBefore({ method: "storage.objects.get" }, "UNAVAILABLE", 100))
  await reject("3")
  await pollFor("3", 10)
  expect(looks).toBeLessThan(7)
  remove()
  expect((await pollFor("3", 10)).text).toContain("was rejected")
})
