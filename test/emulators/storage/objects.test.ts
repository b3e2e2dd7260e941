import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type ApiError, Storage } from "@google-cloud/storage"
import { expect, onTestFinished, test, vi } from "vitest"
import { failBefore } from "../../../services/emulators/faults.ts"
import { truncateDownload } from "../../../services/emulators/storage/truncate-download.ts"
import { startTestStorage } from "./start-storage.ts"

const CREATE = { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } }

test("of many who create the same object at once, one succeeds and all others get 412", async () => {
  const { bucket, client } = await startTestStorage()
  for (const resumable of [false, true]) {
    const name = `race-${resumable}`
    const saved = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) =>
        client()
          .bucket("shop")
          .file(name)
          .save(`writer ${i}`, { ...CREATE, resumable }),
      ),
    )
    const winner = saved.findIndex(({ status }) => status === "fulfilled")
    const lost = saved.filter((result) => result.status === "rejected").map((result) => result.reason as ApiError)
    expect(lost.map(({ code }) => Number(code))).toEqual(Array.from({ length: 7 }, () => 412))
    expect(String((await bucket.file(name).download())[0])).toBe(`writer ${winner}`)
  }
})

test("of many who replace the same generation at once, one succeeds", async () => {
  const { bucket, client } = await startTestStorage()
  await bucket.file("counter").save("0", CREATE)
  const generation = Number((await bucket.file("counter").getMetadata())[0].generation)
  const saved = await Promise.allSettled(
    Array.from({ length: 6 }, (_, i) =>
      client()
        .bucket("shop")
        .file("counter")
        .save(`${i}`, { ...CREATE, preconditionOpts: { ifGenerationMatch: generation } }),
    ),
  )
  expect(saved.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
})

test("preconditions guard reads, patches and deletes", async () => {
  const { bucket, server } = await startTestStorage()
  const file = bucket.file("guarded")
  await file.save("content", CREATE)
  const [{ generation, metageneration }] = await file.getMetadata()
  const url = `${server.url}/storage/v1/b/shop/o/guarded`
  const status = async (query: string, init?: RequestInit) => (await fetch(`${url}?${query}`, init)).status

  expect(await status(`ifGenerationMatch=${generation}`)).toBe(200)
  expect(await status("ifGenerationMatch=1")).toBe(412)
  expect(await status(`ifGenerationNotMatch=${generation}`)).toBe(304)
  expect(await status("ifGenerationNotMatch=1&alt=media")).toBe(200)
  expect(await status(`ifMetagenerationNotMatch=${metageneration}&alt=media`)).toBe(304)
  expect(await status("ifMetagenerationMatch=7")).toBe(412)
  expect(await status("ifMetagenerationMatch=x")).toBe(400)
  expect(await status("generation=1")).toBe(404)
  const patch = { method: "PATCH", body: '{"contentType":"x/y"}' }
  expect(await status("ifMetagenerationMatch=7", patch)).toBe(412)
  expect(await status("ifMetagenerationMatch=1", patch)).toBe(200)
  expect(await status("ifMetagenerationMatch=1", patch)).toBe(412)
  expect(await status("ifGenerationMatch=1", { method: "DELETE" })).toBe(412)
  expect(await status(`ifGenerationMatch=${generation}&ifMetagenerationMatch=2`, { method: "DELETE" })).toBe(204)
  expect(await status("")).toBe(404)
})

test("an upload with ifGenerationNotMatch=0 replaces, and never creates", async () => {
  const { bucket } = await startTestStorage()
  const replace = { resumable: false, preconditionOpts: { ifGenerationNotMatch: 0 } }
  await expect(bucket.file("there").save("new", replace)).rejects.toMatchObject({ code: 412 })
  await bucket.file("there").save("old", CREATE)
  await bucket.file("there").save("new", replace)
  expect(String((await bucket.file("there").download())[0])).toBe("new")
})

test("a failed precondition and a missing object are told in Google's words", async () => {
  const { bucket, server } = await startTestStorage()
  await bucket.file("a").save("", CREATE)
  const error: ApiError = await bucket
    .file("a")
    .save("", CREATE)
    .catch((error) => error)
  const message = "At least one of the pre-conditions you specified did not hold."
  expect(error.code).toBe(412)
  expect(error.errors).toEqual([
    { message, domain: "global", reason: "conditionNotMet", locationType: "header", location: "If-Match" },
  ])
  const missing = await fetch(`${server.url}/storage/v1/b/shop/o/none`)
  expect(await missing.json()).toEqual({
    error: {
      code: 404,
      message: "No such object: shop/none",
      errors: [{ message: "No such object: shop/none", domain: "global", reason: "notFound" }],
    },
  })
  await expect(bucket.file("none").download()).rejects.toMatchObject({
    code: 404,
    message: "No such object: shop/none",
  })
})

test("a patch merges the custom metadata, removes what is null, and keeps the generation", async () => {
  const { bucket } = await startTestStorage()
  const file = bucket.file("patched")
  await file.save("content", { ...CREATE, contentType: "text/plain", metadata: { metadata: { keep: "1", drop: "2" } } })
  const [before] = await file.getMetadata()
  await file.setMetadata({ contentType: "x/y", metadata: { drop: null, add: "3" } }, { ifMetagenerationMatch: 1 })
  const [after] = await file.getMetadata()
  expect(after).toMatchObject({ contentType: "x/y", generation: before.generation, metageneration: "2" })
  expect(after.metadata).toEqual({ keep: "1", add: "3" })
})

test("a range is served with 206, beyond the end with 416", async () => {
  const { bucket, server } = await startTestStorage()
  await bucket.file("digits").save("0123456789", CREATE)
  const [middle] = await bucket.file("digits").download({ start: 2, end: 5 })
  expect(String(middle)).toBe("2345")
  const get = async (range: string) => {
    const answer = await fetch(`${server.url}/storage/v1/b/shop/o/digits?alt=media`, { headers: { range } })
    return [answer.status, answer.headers.get("content-range"), await answer.text()]
  }
  expect(await get("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"])
  expect(await get("bytes=-2")).toEqual([206, "bytes 8-9/10", "89"])
  expect(await get("bytes=8-99")).toEqual([206, "bytes 8-9/10", "89"])
  expect(await get("bytes=10-")).toEqual([416, null, "Request range not satisfiable"])
  expect(await get("bytes=0-1,4-5")).toEqual([200, null, "0123456789"])
})

test("a download says its generation and hashes, on each of its addresses", async () => {
  const { bucket, server } = await startTestStorage()
  await bucket.file("dir/a b").save("abc", CREATE)
  const [{ generation }] = await bucket.file("dir/a b").getMetadata()
  const paths = ["/storage/v1/b/shop/o/dir%2Fa%20b?alt=media", "/b/shop/o/dir%2Fa%20b?alt=media"]
  for (const path of [...paths, "/download/storage/v1/b/shop/o/dir%2Fa%20b?alt=media"]) {
    const answer = await fetch(server.url + path)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-length": "3",
      "x-goog-generation": generation,
      "x-goog-metageneration": "1",
      "x-goog-stored-content-length": "3",
      "x-goog-stored-content-encoding": "identity",
      "x-goog-hash": "crc32c=Nks/tw==,md5=kAFQmDzST7DWlj99KOF/cg==",
    })
    expect(await answer.text()).toBe("abc")
  }
})

test("a client that knows only STORAGE_EMULATOR_HOST is served, too", async () => {
  const { server } = await startTestStorage()
  vi.stubEnv("STORAGE_EMULATOR_HOST", server.url)
  onTestFinished(() => void vi.unstubAllEnvs())
  const bucket = new Storage({ projectId: "test" }).bucket("shop")
  for (const resumable of [false, true]) {
    const file = bucket.file(`runs/${resumable}`)
    await file.save("content", { ...CREATE, resumable })
    expect(String((await file.download())[0])).toBe("content")
  }
  expect((await bucket.getFiles({ prefix: "runs/" }))[0]).toHaveLength(2)
})

test("a file that somebody has edited is refused by the client for its hash", async () => {
  const { bucket, folder } = await startTestStorage()
  await bucket.file("a").save("content", CREATE)
  await writeFile(join(folder, "shop/a"), "CONTENT")
  await expect(bucket.file("a").download()).rejects.toMatchObject({ code: "CONTENT_DOWNLOAD_MISMATCH" })
})

test("a truncated download fails, and the next one does not", async () => {
  const { bucket, server } = await startTestStorage()
  await bucket.file("a").save("x".repeat(100_000), CREATE)
  server.faults.add(truncateDownload({ resource: "shop/a" }, 70_000))
  await expect(bucket.file("a").download()).rejects.toThrow("aborted")
  expect((await bucket.file("a").download())[0].length).toBe(100_000)

  server.faults.add(truncateDownload({ resource: "shop/a" }, 0))
  const answer = await fetch(`${server.url}/b/shop/o/a?alt=media`)
  expect([answer.status, answer.headers.get("content-length")]).toEqual([200, "100000"])
  await expect(answer.text()).rejects.toThrow("terminated")
})

test.each([
  ["UNAVAILABLE", 503],
  ["RESOURCE_EXHAUSTED", 429],
  ["INTERNAL", 500],
  ["PERMISSION_DENIED", 403],
] as const)("an injected %s is a %i, and the call is named as the API names it", async (status, code) => {
  const { bucket, server } = await startTestStorage()
  await bucket.file("a").save("abc", CREATE)
  server.faults.add(failBefore({ method: "storage.objects.get", resource: "shop/a" }, status))
  const answers = [await fetch(`${server.url}/b/shop/o/a`), await fetch(`${server.url}/b/shop/o/a`)]
  expect(answers.map((answer) => answer.status)).toEqual([code, 200])
  expect(await answers[0]?.json()).toMatchObject({ error: { code, errors: [{ domain: "global" }] } })
})

test("the client gets metadata after a 503 that goes away", async () => {
  const { bucket, server } = await startTestStorage()
  await bucket.file("a").save("abc", CREATE)
  server.faults.add(failBefore({ method: "storage.objects.get", resource: "shop/a" }, "UNAVAILABLE"))
  expect((await bucket.file("a").getMetadata())[0].size).toBe("3")
})

test("what is not served says so, with a status that nobody tries again", async () => {
  const { server } = await startTestStorage()
  expect((await fetch(`${server.url}/storage/v1/b/shop/acl`)).status).toBe(400)
  const encrypted = { headers: { "x-goog-encryption-algorithm": "AES256" } }
  expect((await fetch(`${server.url}/storage/v1/b/shop/o/a?alt=media`, encrypted)).status).toBe(400)
  expect((await fetch(`${server.url}/nowhere`)).status).toBe(404)
  expect((await fetch(`${server.url}/b/%ff`)).status).toBe(400)
})
