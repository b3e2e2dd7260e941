import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Bucket } from "@google-cloud/storage"
import { pino } from "pino"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type FaultStatus, failAfter, failBefore } from "../../../services/emulators/faults.ts"
import { type StorageServer, startStorage } from "../../../services/emulators/storage/server.ts"
import { truncateDownload } from "../../../services/emulators/storage/truncate-download.ts"
import { createDocument, listDocuments, readDocument, replaceDocument } from "../../../shared/documents/documents.ts"
import { openBucket } from "../../../shared/google/open-bucket.ts"

let storage: StorageServer
let bucket: Bucket
let folder: string
let count = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-documents-"))
  storage = await startStorage({ folder })
  bucket = openBucket({ BUCKET: "documents", STORAGE_EMULATOR_HOST: storage.url })
  await bucket.create()
})
afterAll(async () => {
  await storage.stop()
  await rm(folder, { recursive: true, force: true })
})

const options = { log: pino({ level: "silent" }) }
const newPath = () => `folder/${count++}.json`
const read = async (path: string) => readDocument(bucket, path, options)
const create = (path: string, text: string) => createDocument(bucket, path, text, options)
const isOlder = (than: number) => (existing: string) => Number(existing) < than
const replace = (path: string, number: number) =>
  replaceDocument(bucket, { path, beside: `${path}-${number}` }, String(number), isOlder(number), options)

test("a document that is not there is undefined; a bucket that is not there is an error", async () => {
  expect(await read("nothing")).toBeUndefined()
  const gone = openBucket({ BUCKET: "gone", STORAGE_EMULATOR_HOST: storage.url })
  await expect(readDocument(gone, "nothing", options)).rejects.toThrow("bucket does not exist")
})

test("of many that create one document at once, one succeeds and all learn its text", async () => {
  const path = newPath()
  const texts = await Promise.all(Array.from({ length: 8 }, (_, n) => create(path, `text ${n}`)))
  expect(new Set(texts).size).toBe(1)
  expect(await read(path)).toBe(texts[0])
})

test("of many that replace one document at once, the newest stays", async () => {
  const path = newPath()
  await Promise.all([3, 1, 5, 2, 4].map((number) => replace(path, number)))
  expect(await read(path)).toBe("5")
})

test("an older text does not replace a newer one; the same text again is no change", async () => {
  const path = newPath()
  expect(await replace(path, 2)).toBe(path)
  expect(await replace(path, 1)).toBeUndefined()
  expect(await replace(path, 2)).toBe(path)
  expect(await read(path)).toBe("2")
})

describe("a call that Storage refuses for a moment is made again", () => {
  const statuses: FaultStatus[] = ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"]
  test.each(statuses)("%s", async (status) => {
    const path = newPath()
    const removes = [
      storage.faults.add(failBefore({ method: "storage.objects.insert" }, status, 2)),
      storage.faults.add(failBefore({ method: "storage.objects.get" }, status, 2)),
    ]
    expect(await create(path, "text")).toBe("text")
    expect(await read(path)).toBe("text")
    for (const remove of removes) remove()
  })
})

test("a write that succeeded though its answer was an error is recognised as one's own", async () => {
  const path = newPath()
  const remove = storage.faults.add(failAfter({ method: "storage.objects.insert" }, "UNAVAILABLE"))
  expect(await create(path, "text")).toBe("text")
  remove()
  const removeAgain = storage.faults.add(failAfter({ method: "storage.objects.insert" }, "UNAVAILABLE"))
  expect(await replaceDocument(bucket, { path, beside: `${path}-2` }, "newer", () => true, options)).toBe(path)
  removeAgain()
  expect(await read(path)).toBe("newer")
})

test("a download that breaks off is made again", async () => {
  const path = newPath()
  await create(path, "a text of some length")
  const remove = storage.faults.add(truncateDownload({ resource: `documents/${path}` }, 5))
  expect(await read(path)).toBe("a text of some length")
  remove()
})

describe("a call that is never answered is made again after its deadline", () => {
  const never = () => new Promise<void>(() => undefined)
  const hurried = { ...options, deadlineMs: 500 }
  const onlyOnce = (method: string, when: "before" | "after") => {
    let isLost = false
    return storage.faults.add({
      matches: (call) => call.method === method && !isLost,
      [when]: () => {
        isLost = true
        return never()
      },
    })
  }

  test.each([
    ["before", "storage.objects.insert"],
    ["after", "storage.objects.insert"],
  ] as const)("a write, lost %s the bucket had it", async (when, method) => {
    const path = newPath()
    const remove = onlyOnce(method, when)
    expect(await createDocument(bucket, path, "text", hurried)).toBe("text")
    remove()
    expect(await read(path)).toBe("text")
  })

  test("a read and a listing", async () => {
    const path = newPath()
    await create(path, "text")
    const removes = [onlyOnce("storage.objects.get", "before"), onlyOnce("storage.objects.list", "after")]
    expect(await readDocument(bucket, path, hurried)).toBe("text")
    expect(await listDocuments(bucket, path, hurried)).toMatchObject([{ path }])
    for (const remove of removes) remove()
  })
})

test("a listing has all pages", async () => {
  const paths = Array.from({ length: 1_203 }, (_, n) => `many/${String(n).padStart(4, "0")}`)
  for (let at = 0; at < paths.length; at += 50) {
    await Promise.all(paths.slice(at, at + 50).map((path) => create(path, "x")))
  }
  expect((await listDocuments(bucket, "many/", options)).map(({ path }) => path)).toEqual(paths)
})
