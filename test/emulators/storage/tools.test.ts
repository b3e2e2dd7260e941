import { readdirSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { describe, expect, test } from "vitest"
import { startTestStorage } from "./start-storage.ts"

// What tools other than the official client for Node ask for, each as it was seen to ask.

const once = { resumable: false } as const

describe("uploads", () => {
  test("in parts whose boundary is quoted as Python quotes, with lines that end in LF alone", async () => {
    const { server, bucket } = await startTestStorage()
    const body = [
      "--===1==",
      "content-type: application/json",
      "",
      '{"name":"a","metadata":{"k":"v"}}',
      "--===1==",
      "content-type: text/x",
      "",
      "line\r\nline\n",
      "--===1==--",
    ].join("\n")
    const answer = await fetch(`${server.url}/upload/storage/v1/b/shop/o?uploadType=multipart`, {
      method: "POST",
      headers: { "content-type": "multipart/related; boundary='===1=='" },
      body,
    })
    expect(answer.status).toBe(200)
    expect((await bucket.file("a").download())[0].toString()).toBe("line\r\nline\n")
    expect((await bucket.file("a").getMetadata())[0]).toMatchObject({ contentType: "text/x", metadata: { k: "v" } })
  })

  test("in chunks that are POSTs to the session's address, told by a header how far they have come", async () => {
    const { server, bucket } = await startTestStorage()
    const begun = await fetch(`${server.url}/resumable/upload/storage/v1/b/shop/o?uploadType=resumable&name=go`, {
      method: "POST",
      body: "{}",
    })
    const session = begun.headers.get("location") ?? ""
    const chunk = Buffer.alloc(256 * 1024, "x")
    const send = (range: string, body: Buffer) =>
      fetch(session, {
        method: "POST",
        headers: { "content-range": range, "x-guploader-no-308": "yes", "content-type": "" },
        body,
      })
    const first = await send(`bytes 0-${chunk.length - 1}/*`, chunk)
    expect([first.status, first.headers.get("x-http-status-code-override"), first.headers.get("range")]).toEqual([
      200,
      "308",
      `bytes=0-${chunk.length - 1}`,
    ])
    const last = await send(`bytes ${chunk.length}-${chunk.length + 4}/${chunk.length + 5}`, Buffer.from("hello"))
    expect(await last.json()).toMatchObject({ name: "go", size: String(chunk.length + 5) })
    expect((await bucket.file("go").download())[0].subarray(-5).toString()).toBe("hello")
  })

  test("with a content type that is none", async () => {
    const { server } = await startTestStorage()
    const answer = await fetch(`${server.url}/upload/storage/v1/b/shop/o?uploadType=media&name=odd`, {
      method: "POST",
      headers: { "content-type": ";;not a type" },
      body: "x",
    })
    expect(await answer.json()).toMatchObject({ contentType: ";;not a type" })
  })
})

describe("reads", () => {
  test("by the XML API's addresses, with what there is to know in headers", async () => {
    const { server, bucket } = await startTestStorage()
    await bucket.file("folder/näme").save("content", { ...once, metadata: { metadata: { k: "v" } } })
    const url = `${server.url}/shop/folder/${encodeURIComponent("näme")}`
    const head = await fetch(url, { method: "HEAD" })
    expect([head.status, head.headers.get("content-length"), head.headers.get("x-goog-meta-k")]).toEqual([
      200,
      "7",
      "v",
    ])
    expect(await (await fetch(url, { headers: { range: "bytes=3-" } })).text()).toBe("tent")
    const missing = await fetch(`${server.url}/shop/nothing`)
    expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining("<Code>NoSuchKey</Code>")])
    const wrong = await fetch(url, { headers: { "x-goog-if-generation-match": "1" } })
    expect(wrong.status).toBe(412)
  })

  test("If-Match and If-None-Match hold", async () => {
    const { server, bucket } = await startTestStorage()
    await bucket.file("a").save("x", once)
    const url = `${server.url}/storage/v1/b/shop/o/a`
    const etag = ((await (await fetch(url)).json()) as { etag: string }).etag
    const status = async (headers: Record<string, string>, method = "GET") =>
      (await fetch(url, { method, headers })).status
    expect(await status({ "if-none-match": `"${etag}"` })).toBe(304)
    expect(await status({ "if-none-match": '"other"' })).toBe(200)
    expect(await status({ "if-match": '"other"' })).toBe(412)
    expect(await status({ "if-match": '"other"' }, "DELETE")).toBe(412)
    expect(await status({ "if-match": `"${etag}"` }, "DELETE")).toBe(204)
  })

  test("what is stored compressed is decompressed for whoever does not take it so", async () => {
    const { server, bucket } = await startTestStorage()
    const content = "text ".repeat(1_000)
    const metadata = { contentEncoding: "gzip", contentType: "text/plain" }
    await bucket.file("a").save(gzipSync(content), { ...once, metadata })
    const url = `${server.url}/shop/a`
    const plain = await fetch(url, { headers: { "accept-encoding": "identity" } })
    expect([plain.headers.get("content-encoding"), await plain.text()]).toEqual([null, content])
    const packed = await fetch(url, { headers: { "accept-encoding": "gzip" } })
    expect([packed.headers.get("content-encoding"), await packed.text()]).toEqual(["gzip", content])
  })

  test("lists by a glob, an empty page token, and only the fields that are wanted", async () => {
    const { server, bucket } = await startTestStorage()
    for (const name of ["a/1.txt", "a/b/2.txt", "c.txt", "d.csv"]) await bucket.file(name).save("x", once)
    const list = async (query: string) => {
      const answer = await fetch(`${server.url}/storage/v1/b/shop/o?${query}`)
      return (await answer.json()) as { items?: { name: string }[] }
    }
    const names = async (glob: string) =>
      (await list(`matchGlob=${encodeURIComponent(glob)}&pageToken=`)).items?.map(({ name }) => name)
    expect(await names("*.txt")).toEqual(["c.txt"])
    expect(await names("**.txt")).toEqual(["a/1.txt", "a/b/2.txt", "c.txt"])
    expect(await names("a/**/*.txt")).toEqual(["a/1.txt", "a/b/2.txt"])
    expect(await names("{c,d}.*")).toEqual(["c.txt", "d.csv"])
    expect(await names("[!c].csv")).toEqual(["d.csv"])
    expect(await list("fields=items(name,size),prefixes&prefix=c")).toEqual({ items: [{ name: "c.txt", size: "1" }] })
    expect((await fetch(`${server.url}/storage/v1/b/shop/o?fields=items(`)).status).toBe(400)
    expect(await list("delimiter=/&includeTrailingDelimiter=True&fields=prefixes")).toEqual({ prefixes: ["a/"] })
  })

  test("metadata has whatever keys it was given", async () => {
    const { server } = await startTestStorage()
    const answer = await fetch(`${server.url}/upload/storage/v1/b/shop/o?uploadType=multipart`, {
      method: "POST",
      headers: { "content-type": "multipart/related; boundary=x" },
      body: `--x\r\n\r\n{"name":"a","metadata":{"constructor":"a","__proto__":"b"}}\r\n--x\r\n\r\nx\r\n--x--`,
    })
    expect(await answer.text()).toContain('"metadata":{"constructor":"a","__proto__":"b"}')
    const body = '{"metadata":{"__proto__":"z"}}'
    const patched = await fetch(`${server.url}/storage/v1/b/shop/o/a`, { method: "PATCH", body })
    expect(await patched.text()).toContain('"metadata":{"constructor":"a","__proto__":"z"}')
  })
})

describe("copies and versions", () => {
  test("an object that is copied, moved or composed is what it was made of, and a source that changed is noticed", async () => {
    const { server, bucket } = await startTestStorage()
    await bucket.file("a").save("abc", { ...once, metadata: { contentType: "text/x", metadata: { k: "v" } } })
    await bucket.file("a").copy("b")
    expect((await bucket.file("b").getMetadata())[0]).toMatchObject({ contentType: "text/x", metadata: { k: "v" } })
    const stale = `${server.url}/storage/v1/b/shop/o/a/rewriteTo/b/shop/o/c?ifSourceGenerationMatch=1`
    expect((await fetch(stale, { method: "POST" })).status).toBe(412)
    await bucket.file("b").moveFileAtomic("c")
    expect((await bucket.file("b").exists())[0]).toBe(false)
    await bucket.combine(["a", "c"], "both")
    expect((await bucket.file("both").download())[0].toString()).toBe("abcabc")
    expect((await bucket.file("both").getMetadata())[0]).toMatchObject({ componentCount: 2 })
    expect((await bucket.file("both").getMetadata())[0].md5Hash).toBeUndefined()
  })

  test("a copy that is refused leaves nothing of its content behind", async () => {
    const { server, bucket, folder } = await startTestStorage()
    await bucket.file("a").save("abc", once)
    const taken = `${server.url}/storage/v1/b/shop/o/a/copyTo/b/shop/o/a?ifGenerationMatch=0`
    expect((await fetch(taken, { method: "POST" })).status).toBe(412)
    expect(readdirSync(join(folder, ".uploads"))).toEqual([])
  })

  test("where a bucket keeps versions, what is overwritten or deleted is still there by its generation, also after a restart", async () => {
    const first = await startTestStorage()
    await first.bucket.setMetadata({ versioning: { enabled: true } })
    await first.bucket.file("a").save("one", once)
    await first.bucket.file("a").save("two", once)
    await first.bucket.file("a").delete()
    const { bucket } = await first.restart()
    expect((await bucket.file("a").exists())[0]).toBe(false)
    const [versions] = await bucket.getFiles({ versions: true })
    const read = async (generation: unknown) =>
      (await bucket.file("a", { generation: generation as number }).download({ validation: false }))[0].toString()
    expect(await Promise.all(versions.map(({ metadata }) => read(metadata.generation)))).toEqual(["one", "two"])
    expect(versions[0]?.metadata.timeDeleted).toEqual(expect.any(String))
    await expect(bucket.delete()).rejects.toMatchObject({ code: 409 })
    await bucket.deleteFiles({ versions: true })
    await bucket.delete()
  })
})

test("requests of web pages are refused, and of other names", async () => {
  const { server } = await startTestStorage()
  const url = `${server.url}/upload/storage/v1/b/shop/o?uploadType=media&name=planted`
  const planted = await fetch(url, {
    method: "POST",
    headers: { origin: "https://evil.example", "content-type": "text/plain" },
    body: "x",
  })
  expect(planted.status).toBe(403)
  expect((await fetch(`${server.url}/storage/v1/b/shop/o/planted`)).status).toBe(404)
})
