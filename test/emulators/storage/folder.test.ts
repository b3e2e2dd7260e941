import { mkdir, readdir, readFile, rename, rm, rmdir, unlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { startTestStorage } from "./start-storage.ts"

const CREATE = { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } }

test("a server started again on the folder serves the same objects, generations and metadata", async () => {
  const before = await startTestStorage()
  const options = { contentType: "text/plain", metadata: { metadata: { run: "r1" } } }
  await before.bucket.file("runs/a.json").save("one", { ...CREATE, ...options })
  await before.bucket.file("runs/a.json").setMetadata({ cacheControl: "no-store" }, { ifMetagenerationMatch: 1 })
  await before.bucket.file("gone").save("two", CREATE)
  await before.bucket.file("gone").delete()
  const [{ selfLink: _a, mediaLink: _b, ...kept }] = await before.bucket.file("runs/a.json").getMetadata()

  const after = await before.restart()
  expect((await after.bucket.file("runs/a.json").getMetadata())[0]).toMatchObject(kept)
  expect(String((await after.bucket.file("runs/a.json").download())[0])).toBe("one")
  expect((await after.bucket.getFiles())[0].map(({ name }) => name)).toEqual(["runs/a.json"])
  await after.bucket.file("gone").save("three", CREATE)
  const [{ generation }] = await after.bucket.file("gone").getMetadata()
  expect(Number(generation)).toBeGreaterThan(Number(kept.generation))
})

test("names that are no paths, or in each other's way, are objects like any other, also after a restart", async () => {
  const before = await startTestStorage()
  const odd = [
    "a",
    "a/b",
    "a/b/c",
    "a//b",
    "a/",
    "/",
    "/a",
    "x/../a",
    "x/./a",
    "x\u0000y",
    "%2F",
    "a%2Fb",
    "ü?#&+ ",
    "😀",
  ]
  const names = [...odd, `deep/${"n".repeat(300)}`, "d/".repeat(500)]
  for (const order of [names, names.toReversed()]) {
    for (const name of order) await before.bucket.file(name).save(`of ${name}`, { resumable: false })
  }
  const after = await before.restart()
  const [files] = await after.bucket.getFiles()
  expect(new Set(files.map(({ name }) => name))).toEqual(new Set(names))
  for (const name of names) {
    expect(String((await after.bucket.file(name).download())[0])).toBe(`of ${name}`)
    await after.bucket.file(name).delete()
  }
  expect(await readdir(join(after.folder, "shop"))).toEqual([])
  await after.bucket.delete()
  expect((await readdir(after.folder)).toSorted()).toEqual([".metadata", ".uploads"])
})

test.each([".", "..", "a\nb", "a\rb", "x".repeat(1025), ".well-known/acme-challenge/x", "\ud800"])(
  "an object cannot be named %j",
  async (name) => {
    const { server } = await startTestStorage()
    const body = `--b\r\n\r\n${JSON.stringify({ name })}\r\n--b\r\n\r\n\r\n--b--`
    const headers = { "content-type": "multipart/related; boundary=b" }
    const url = `${server.url}/upload/storage/v1/b/shop/o?uploadType=multipart`
    expect((await fetch(url, { method: "POST", body, headers })).status).toBe(400)
  },
)

test("any two names are two objects", async () => {
  const { bucket } = await startTestStorage()
  const part = fc.constantFrom("a", "A", "b", "/", ".", "%", "~", "é")
  const name = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(""))
  const valid = name.filter((name) => name !== "." && name !== "..")
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(valid, { minLength: 2, maxLength: 4 }), async (names) => {
      for (const name of names) await bucket.file(name).save(name, { resumable: false })
      for (const name of names) expect(String((await bucket.file(name).download({ validation: false }))[0])).toBe(name)
      for (const name of names) await bucket.file(name).delete()
    }),
    { numRuns: 30 },
  )
})

test("a server that died between the commit of an object and its move into place finishes the move", async () => {
  const before = await startTestStorage()
  await before.bucket.file("dir/a").save("old", CREATE)
  const saved = await before.bucket.file("dir/a").save("new", { resumable: false })
  expect(saved).toBeUndefined()
  const [{ generation }] = await before.bucket.file("dir/a").getMetadata()
  await before.server.stop()
  // The disk as it was in that moment.
  const [record] = (await readdir(join(before.folder, ".metadata/shop"))).filter((name) => name.includes("~"))
  const { upload } = JSON.parse(await readFile(join(before.folder, ".metadata/shop", record ?? ""), "utf8"))
  await rename(join(before.folder, "shop/dir/a"), join(before.folder, ".uploads", upload))
  await writeFile(join(before.folder, "shop/dir/a"), "old")
  await writeFile(join(before.folder, ".uploads/of-nobody"), "half an upl")

  const after = await before.restart()
  expect(String((await after.bucket.file("dir/a").download())[0])).toBe("new")
  expect((await after.bucket.file("dir/a").getMetadata())[0].generation).toBe(generation)
  expect(await readdir(join(after.folder, ".uploads"))).toEqual([])
})

test("an object whose file somebody has deleted is gone, and can be created again", async () => {
  const before = await startTestStorage()
  await before.bucket.file("a").save("old", CREATE)
  await unlink(join(before.folder, "shop/a"))
  await expect(before.bucket.file("a").download()).rejects.toMatchObject({ code: 404 })
  const after = await before.restart()
  await after.bucket.file("a").save("new", CREATE)
  expect(String((await after.bucket.file("a").download())[0])).toBe("new")
})

test("a file that is no object is neither listed nor overwritten, and keeps its bucket from being deleted", async () => {
  const { bucket, folder } = await startTestStorage()
  await writeFile(join(folder, "shop/notes"), "mine")
  expect((await bucket.getFiles())[0]).toEqual([])
  await bucket.file("notes").save("an object", CREATE)
  expect(await readFile(join(folder, "shop/notes"), "utf8")).toBe("mine")
  expect(String((await bucket.file("notes").download())[0])).toBe("an object")
  await bucket.file("notes").delete()
  await expect(bucket.delete()).rejects.toMatchObject({ code: 409 })
})

test("a disk that fails is a 500, the old object stays, and the server goes on", async () => {
  const { bucket, folder, client } = await startTestStorage()
  await bucket.file("a").save("old", CREATE)
  const retryOptions = { autoRetry: false }
  const once = client({ retryOptions }).bucket("shop")
  await rmdir(join(folder, ".uploads"))
  await expect(once.file("a").save("new", { resumable: false })).rejects.toMatchObject({ code: 500 })
  await writeFile(join(folder, ".uploads"), "in the way")
  await expect(once.file("a").save("new", { resumable: true })).rejects.toMatchObject({ status: 500 })
  await rm(join(folder, ".uploads"))
  expect(String((await bucket.file("a").download())[0])).toBe("old")
  await mkdir(join(folder, ".uploads"))
  await once.file("a").save("new", { resumable: false })
  expect(String((await bucket.file("a").download())[0])).toBe("new")
})
