import { randomBytes } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { CRC32C } from "@google-cloud/storage"
import { expect, test } from "vitest"
import { ManualClock } from "../../../services/emulators/clock.ts"
import { failAfter, failBefore } from "../../../services/emulators/faults.ts"
import { startTestStorage } from "./start-storage.ts"

const CHUNK = 256 * 1024
const CREATE = { preconditionOpts: { ifGenerationMatch: 0 } }

test.each([
  ["one multipart request", { resumable: false }],
  ["a resumable upload in one piece", { resumable: true }],
  ["a resumable upload in chunks", { resumable: true, chunkSize: CHUNK }],
])("content that goes up in %s comes down the same, and is a plain file", async (_way, options) => {
  const { bucket, folder } = await startTestStorage()
  const content = randomBytes(3 * CHUNK + 17)
  const file = bucket.file("runs/2026-11-22/plan.bin")
  await file.save(content, { ...options, ...CREATE, contentType: "x/y", metadata: { metadata: { run: "r1" } } })

  expect((await file.download())[0].equals(content)).toBe(true)
  expect((await readFile(join(folder, "shop/runs/2026-11-22/plan.bin"))).equals(content)).toBe(true)
  const [metadata] = await file.getMetadata()
  expect(metadata).toMatchObject({
    size: String(content.length),
    contentType: "x/y",
    metageneration: "1",
    crc32c: crc32cOf(content),
    metadata: { run: "r1" },
  })
  expect(await readdir(join(folder, ".uploads"))).toEqual([])
})

test.each([[{ resumable: false }], [{ resumable: true }]])("an empty object can be saved with %o", async (options) => {
  const { bucket } = await startTestStorage()
  await bucket.file("empty").save("", { ...options, ...CREATE })
  const [content] = await bucket.file("empty").download()
  expect(content.length).toBe(0)
})

test("a media upload is the whole body, of whatever type", async () => {
  const { server, bucket } = await startTestStorage()
  const url = `${server.url}/upload/storage/v1/b/shop/o?uploadType=media&name=a.json`
  const answer = await fetch(url, {
    method: "POST",
    body: '{"not": "parsed"',
    headers: { "content-type": "application/json" },
  })
  expect(await answer.json()).toMatchObject({ name: "a.json", contentType: "application/json", size: "16" })
  expect(String((await bucket.file("a.json").download())[0])).toBe('{"not": "parsed"')
})

test("multipart content may hold all but its own boundary, wherever the network cuts it", async () => {
  const { server, bucket } = await startTestStorage()
  const content = "\r\n--bound\r\n\r\n--boundar\r\n-- \r\n"
  const body = Buffer.from(
    `--boundary\r\nContent-Type: application/json\r\n\r\n{"name": "odd"}\r\n--boundary\r\n\r\n${content}\r\n--boundary--\r\n`,
  )
  const answer = await fetch(`${server.url}/upload/storage/v1/b/shop/o?uploadType=multipart`, {
    method: "POST",
    headers: { "content-type": 'multipart/related; boundary="boundary"' },
    body: new ReadableStream({
      async start(stream) {
        for (const byte of body) {
          stream.enqueue(Uint8Array.of(byte))
          await new Promise(setImmediate)
        }
        stream.close()
      },
    }),
    duplex: "half",
  })
  expect(answer.status).toBe(200)
  expect(String((await bucket.file("odd").download())[0])).toBe(content)
})

test("content that is not what the client says it is, is refused", async () => {
  const { server, bucket } = await startTestStorage()
  const wrong = bucket.file("wrong").save("abc", { resumable: false, metadata: { crc32c: "AAAAAA==" }, ...CREATE })
  await expect(wrong).rejects.toMatchObject({ code: 400, message: expect.stringContaining("CRC32C") })
  const answer = await fetch(`${server.url}/upload/storage/v1/b/shop/o?uploadType=media&name=wrong`, {
    method: "POST",
    body: "abc",
    headers: { "x-goog-hash": "crc32c=Nks/tw==,md5=AAAAAAAAAAAAAAAAAAAAAA==" },
  })
  expect(answer.status).toBe(400)
  expect((await bucket.file("wrong").exists())[0]).toBe(false)
})

test("a resumable upload tells how far it has come and goes on from there", async () => {
  const { bucket } = await startTestStorage()
  const content = randomBytes(CHUNK + 10)
  const [url] = await bucket.file("big").createResumableUpload(CREATE)
  const put = (range: string, body?: Buffer) =>
    fetch(url, { method: "PUT", headers: { "content-range": range }, body: body ? new Uint8Array(body) : null })

  const asked = await put("bytes */*")
  expect([asked.status, asked.headers.get("range")]).toEqual([308, null])
  const first = await put(`bytes 0-${CHUNK - 1}/*`, content.subarray(0, CHUNK))
  expect([first.status, first.headers.get("range")]).toEqual([308, `bytes=0-${CHUNK - 1}`])
  const gap = await put(`bytes ${CHUNK + 5}-${CHUNK + 9}/${CHUNK + 10}`, content.subarray(CHUNK + 5))
  expect(gap.status).toBe(400)
  // Of a chunk that is not the last only multiples of 256 KiB are kept.
  const odd = await put(`bytes ${CHUNK}-${CHUNK + 4}/*`, content.subarray(CHUNK, CHUNK + 5))
  expect([odd.status, odd.headers.get("range")]).toEqual([308, `bytes=0-${CHUNK - 1}`])
  // Overlaps with what the server has.
  const last = await put(`bytes ${CHUNK - 6}-${CHUNK + 9}/${CHUNK + 10}`, content.subarray(CHUNK - 6))
  expect(await last.json()).toMatchObject({ size: String(CHUNK + 10), crc32c: crc32cOf(content) })
  const again = await put("bytes */*")
  expect(await again.json()).toMatchObject({ crc32c: crc32cOf(content) })
  expect((await bucket.file("big").download())[0].equals(content)).toBe(true)
})

test("a cancelled upload is gone, with what it had on disk", async () => {
  const { bucket, folder } = await startTestStorage()
  const [url] = await bucket.file("never").createResumableUpload(CREATE)
  await fetch(url, {
    method: "PUT",
    headers: { "content-range": `bytes 0-${CHUNK - 1}/*` },
    body: new Uint8Array(CHUNK),
  })
  expect(await readdir(join(folder, ".uploads"))).toHaveLength(1)
  expect((await fetch(url, { method: "DELETE" })).status).toBe(499)
  expect((await fetch(url, { method: "PUT", headers: { "content-range": "bytes */*" } })).status).toBe(404)
  expect(await readdir(join(folder, ".uploads"))).toEqual([])
})

test("an upload that is not finished within a week is given up", async () => {
  const clock = new ManualClock()
  const { bucket } = await startTestStorage(undefined, clock)
  const [url] = await bucket.file("slow").createResumableUpload(CREATE)
  const ask = async () => (await fetch(url, { method: "PUT", headers: { "content-range": "bytes */*" } })).status
  clock.advance(7 * 24 * 3600 * 1000 - 1)
  expect(await ask()).toBe(308)
  clock.advance(1)
  expect(await ask()).toBe(404)
})

test("generations grow while the clock stands still", async () => {
  const { bucket } = await startTestStorage(undefined, new ManualClock())
  const generations: number[] = []
  for (let i = 0; i < 3; i++) {
    await bucket.file("a").save(`${i}`, { resumable: false })
    generations.push(Number((await bucket.file("a").getMetadata())[0].generation))
  }
  expect(generations).toEqual([...new Set(generations)].toSorted((a, b) => a - b))
})

test.concurrent.for([{ resumable: false }, { resumable: true }, { resumable: true, chunkSize: CHUNK }])(
  "the client retries a 503 and the object is written once, with %o",
  async (options, { expect, onTestFinished }) => {
    const { server, bucket } = await startTestStorage(onTestFinished)
    server.faults.add(failBefore({ method: "storage.objects.insert", resource: "shop/retried" }, "UNAVAILABLE"))
    const content = randomBytes(2 * CHUNK)
    await bucket.file("retried").save(content, { ...options, ...CREATE })
    expect((await bucket.file("retried").download())[0].equals(content)).toBe(true)
  },
)

test("a 503 after the write makes the client's own retry fail with 412: the object is there", async () => {
  const { server, bucket } = await startTestStorage()
  server.faults.add(failAfter({ method: "storage.objects.insert", resource: "shop/mine" }, "UNAVAILABLE"))
  const saved = bucket.file("mine").save("content", { resumable: false, ...CREATE })
  await expect(saved).rejects.toMatchObject({ code: 412 })
  expect(String((await bucket.file("mine").download())[0])).toBe("content")
})

test("a client that goes away midway leaves nothing", async () => {
  const { server, bucket, folder } = await startTestStorage()
  const abort = new AbortController()
  const sent = fetch(`${server.url}/upload/storage/v1/b/shop/o?uploadType=media&name=half`, {
    method: "POST",
    signal: abort.signal,
    duplex: "half",
    body: new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(1000)) }),
  })
  await expect.poll(() => readdir(join(folder, ".uploads"))).toHaveLength(1)
  abort.abort()
  await expect(sent).rejects.toThrow("aborted")
  await expect.poll(() => readdir(join(folder, ".uploads"))).toEqual([])
  expect((await bucket.file("half").exists())[0]).toBe(false)
})

function crc32cOf(content: Buffer): string {
  const crc32c = new CRC32C()
  crc32c.update(content)
  return crc32c.toString()
}
