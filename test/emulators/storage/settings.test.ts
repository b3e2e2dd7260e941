import { describe, expect, test } from "vitest"
import { startTestStorage } from "./start-storage.ts"

// What Google's own suites look at in the settings of buckets and objects: nodejs-storage, system-test/storage.ts.

const once = { resumable: false } as const
type Json = Record<string, unknown>

async function startWithCalls() {
  const running = await startTestStorage()
  const call = async (method: string, path: string, body?: object) => {
    const answer = await fetch(`${running.server.url}/storage/v1/b/shop${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: answer.status, json: (await answer.json().catch(() => ({}))) as Json }
  }
  return { ...running, call }
}

describe("an update replaces", () => {
  test("an object's fields and its custom metadata: what is not given goes", async () => {
    const { bucket, call } = await startWithCalls()
    const metadata = { contentType: "text/x", cacheControl: "no-store", metadata: { a: "1", b: "2" } }
    await bucket.file("a").save("x", { ...once, metadata })
    const { json } = await call("PUT", "/o/a", { cacheControl: "private", metadata: { b: "3", c: null } })
    expect(json).toMatchObject({ cacheControl: "private", metadata: { b: "3" }, storageClass: "STANDARD", size: "1" })
    expect(json["metadata"]).toEqual({ b: "3" })
    expect(json).not.toHaveProperty("contentType")
    expect((await call("PUT", "/o/a", {})).json).not.toHaveProperty("metadata")
  })

  test("a bucket's labels, lifecycle and versioning, and never where it is", async () => {
    const { client, server } = await startWithCalls()
    const lifecycle = { rule: [{ action: { type: "Delete" as const }, condition: { age: 1 } }] }
    const given = { labels: { a: "1", b: "2" }, lifecycle, versioning: { enabled: true } }
    await client().createBucket("replaced", { location: "europe-west1", ...given })
    const url = `${server.url}/storage/v1/b/replaced`
    const put = async (body: object) =>
      (await (await fetch(url, { method: "PUT", body: JSON.stringify(body) })).json()) as Json
    const replaced = await put({ labels: { b: "3" }, lifecycle: { rule: [] } })
    expect(replaced).toMatchObject({ location: "EUROPE-WEST1", metageneration: "2" })
    expect(replaced["labels"]).toEqual({ b: "3" })
    expect(replaced).not.toHaveProperty("lifecycle")
    expect(replaced).not.toHaveProperty("versioning")
    expect(await put({})).not.toHaveProperty("labels")
  })
})

describe("custom metadata", () => {
  test("is kept as texts, whatever plain values an upload or a patch gives", async () => {
    const { bucket, call } = await startWithCalls()
    const metadata = { size: 5, half: 0.5, isDone: true, nothing: null, text: "a" }
    await bucket.file("a").save("x", { ...once, metadata: { metadata } })
    const read = async () => (await bucket.file("a").getMetadata())[0].metadata
    expect(await read()).toEqual({ size: "5", half: "0.5", isDone: "true", text: "a" })
    await bucket.file("a").setMetadata({ metadata: { size: 6, isDone: false, text: null } })
    expect(await read()).toEqual({ size: "6", half: "0.5", isDone: "false" })
    const nested = await call("PATCH", "/o/a", { metadata: { a: { b: 1 } } })
    expect([nested.status, nested.json]).toMatchObject([400, { error: { errors: [{ reason: "invalid" }] } }])
  })

  test("is refused in Google's words where it is too large", async () => {
    const { bucket } = await startTestStorage()
    const metadata = { metadata: { custom: "a".repeat(2_100_000) } }
    await expect(bucket.file("a").save("x", { ...once, metadata })).rejects.toThrow(/Metadata part is too large/)
  })
})

describe("a bucket", () => {
  test("shows nothing where its labels, its CORS rules or its lifecycle are empty", async () => {
    const { client } = await startTestStorage()
    const [bucket] = await client().createBucket("empty", {
      labels: {},
      cors: [],
      hierarchicalNamespace: { enabled: false },
    })
    await bucket.setCorsConfiguration([{ maxAgeSeconds: 1600 }])
    expect(bucket.metadata.cors).toEqual([{ maxAgeSeconds: 1600 }])
    await bucket.setCorsConfiguration([])
    await bucket.setMetadata({ labels: { a: "b" } })
    await bucket.setMetadata({ labels: { a: null } })
    const [metadata] = await bucket.getMetadata()
    for (const field of ["labels", "cors", "lifecycle", "versioning", "hierarchicalNamespace"])
      expect(metadata).not.toHaveProperty(field)
  })

  test("has Google's defaults of access, autoclass, turbo replication and soft delete", async () => {
    const { client } = await startTestStorage()
    const [dual] = await client().createBucket("dual", {
      location: "US",
      customPlacementConfig: { dataLocations: ["US-EAST1", "US-WEST1"] },
      autoclass: { enabled: true },
    })
    const [metadata] = await dual.getMetadata()
    expect(metadata).toMatchObject({
      locationType: "dual-region",
      rpo: "DEFAULT",
      autoclass: { enabled: true, terminalStorageClass: "NEARLINE", toggleTime: expect.any(String) },
      iamConfiguration: { publicAccessPrevention: "inherited", uniformBucketLevelAccess: { enabled: false } },
    })
    await new Promise((done) => setTimeout(done, 5))
    const [off] = await dual.setMetadata({ autoclass: { enabled: false } })
    expect(off).toMatchObject({ autoclass: { enabled: false } })
    expect(String(off.autoclass?.toggleTime) > String(metadata.autoclass?.toggleTime)).toBe(true)
    await dual.setMetadata({ softDeletePolicy: { retentionDurationSeconds: 604_800 } })
    expect((await dual.getMetadata())[0].softDeletePolicy).toEqual({
      retentionDurationSeconds: "604800",
      effectiveTime: expect.any(String),
    })
    const [region] = await client().createBucket("region", { location: "europe-west1" })
    expect((await region.getMetadata())[0]).not.toHaveProperty("rpo")
  })

  test("keeps each setting of access when the other changes, and refuses one that there is not", async () => {
    const { bucket } = await startTestStorage()
    await bucket.setMetadata({ iamConfiguration: { uniformBucketLevelAccess: { enabled: true } } })
    await bucket.setMetadata({ iamConfiguration: { publicAccessPrevention: "enforced" } })
    expect((await bucket.getMetadata())[0].iamConfiguration).toMatchObject({
      publicAccessPrevention: "enforced",
      uniformBucketLevelAccess: { enabled: true, lockedTime: expect.any(String) },
    })
    const wrong = bucket.setMetadata({ iamConfiguration: { publicAccessPrevention: "unexpected value" } })
    await expect(wrong).rejects.toMatchObject({ code: 400 })
  })

  test("has an IAM policy that is kept over a restart, guarded by its etag, and grants everything to whoever asks", async () => {
    const first = await startTestStorage()
    const { iam } = first.bucket
    const [begun] = await iam.getPolicy()
    expect(begun.bindings).toEqual([
      { role: "roles/storage.legacyBucketOwner", members: ["projectEditor:test", "projectOwner:test"] },
      { role: "roles/storage.legacyBucketReader", members: ["projectViewer:test"] },
    ])
    const condition = { title: "always", description: "holds", expression: "true" }
    const reader = { role: "roles/storage.objectViewer", members: ["serviceAccount:a@b.example"], condition }
    await iam.setPolicy({ ...begun, version: 3, bindings: [...begun.bindings, reader] })
    await expect(iam.setPolicy(begun)).rejects.toMatchObject({ code: 412 })
    const { bucket } = await first.restart()
    const [kept] = await bucket.iam.getPolicy({ requestedPolicyVersion: 3 })
    expect([kept.version, kept.bindings.at(-1)]).toEqual([3, reader])
    const [granted] = await bucket.iam.testPermissions(["storage.buckets.get", "storage.buckets.getIamPolicy"])
    expect(granted).toEqual({ "storage.buckets.get": true, "storage.buckets.getIamPolicy": true })
  })
})

test("an object that is composed without a content type has none", async () => {
  const { bucket, call } = await startWithCalls()
  await bucket.file("a").save("x", { ...once, metadata: { contentType: "text/x" } })
  const { json } = await call("POST", "/o/both/compose", { sourceObjects: [{ name: "a" }, { name: "a" }] })
  expect([json["size"], json["contentType"]]).toEqual(["2", undefined])
})

test("a rewrite that names a bucket, and neither the object nor a content type, is refused", async () => {
  const { bucket, call } = await startWithCalls()
  await bucket.file("a").save("x", once)
  const rewrite = (body: object) => call("POST", "/o/a/rewriteTo/b/shop/o/b", body)
  expect(await rewrite({ bucket: "shop", metadata: {} })).toMatchObject({
    status: 400,
    json: { error: { message: "Required" } },
  })
  expect((await rewrite({ bucket: "shop", contentType: "text/x" })).status).toBe(200)
  expect((await rewrite({ metadata: { a: "b" } })).status).toBe(200)
})

test("a signed URL is served in its time alone, to read and to delete", async () => {
  const { server, bucket } = await startTestStorage()
  await bucket.file("a b").save("signed", once)
  const now = new Date()
  const format = (date: Date) => date.toISOString().replaceAll(/[-:]|\.\d+/g, "")
  const sign = (at: Date, seconds: number) =>
    `${server.url}/shop/a%20b?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=${format(at)}&X-Goog-Expires=${seconds}&X-Goog-Signature=ab`
  const status = async (url: string, method = "GET") => (await fetch(url, { method })).status
  const hourMs = 3_600_000
  expect(await (await fetch(sign(now, 5))).text()).toBe("signed")
  expect(await status(sign(new Date(now.getTime() + hourMs), 5))).toBe(403)
  const late = await fetch(sign(new Date(now.getTime() - hourMs), 5))
  expect([late.status, await late.text()]).toEqual([400, expect.stringContaining("<Code>ExpiredToken</Code>")])
  const version2 = (at: number) => `${server.url}/shop/a%20b?GoogleAccessId=x&Expires=${at}&Signature=ab`
  expect(await status(version2(Math.floor(now.getTime() / 1000) + 60))).toBe(200)
  expect(await status(version2(Math.floor(now.getTime() / 1000) - 60))).toBe(400)
  expect(await status(sign(now, 5), "DELETE")).toBe(204)
  expect((await bucket.file("a b").exists())[0]).toBe(false)
})

test.each([
  ["GET", "/storage/v1/b/shop/acl"],
  ["GET", "/storage/v1/b/shop/acl/allUsers"],
  ["POST", "/storage/v1/b/shop/defaultObjectAcl"],
  ["DELETE", "/storage/v1/b/shop/defaultObjectAcl/allUsers"],
  ["PATCH", "/b/shop/o/a/acl/allUsers"],
  ["GET", "/storage/v1/b/shop/o/a/iam"],
  ["POST", "/storage/v1/b/shop/o/a/restore"],
  ["POST", "/storage/v1/b/shop/o/bulkRestore"],
  ["POST", "/storage/v1/b/shop/o/watch"],
  ["POST", "/storage/v1/b/shop/restore"],
  ["POST", "/storage/v1/b/shop/lockRetentionPolicy"],
  ["POST", "/storage/v1/b/shop/notificationConfigs"],
  ["GET", "/storage/v1/b/shop/notificationConfigs/1"],
  ["POST", "/storage/v1/b/shop/managedFolders"],
  ["GET", "/storage/v1/b/shop/managedFolders/a/iam"],
  ["POST", "/storage/v1/b/shop/folders"],
  ["GET", "/storage/v1/b/shop/anywhereCaches"],
  ["GET", "/storage/v1/projects/local/serviceAccount"],
  ["POST", "/storage/v1/projects/local/hmacKeys"],
  ["DELETE", "/projects/local/hmacKeys/1"],
  ["POST", "/storage/v1/channels/stop"],
  ["POST", "/batch/storage/v1"],
  ["PUT", "/shop/by-xml"],
  ["GET", "/shop"],
  ["GET", "/shop/?list-type=2"],
  ["POST", "/shop"],
])("%s %s is not offered, and says so with a status that nobody tries again", async (method, path) => {
  const { server } = await startTestStorage()
  const answer = await fetch(`${server.url}${path}`, { method })
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringMatching(/not implemented by the local/)])
})

test("an object's name with a slash that is not encoded is not found", async () => {
  const { server } = await startTestStorage()
  expect((await fetch(`${server.url}/storage/v1/b/shop/o/a/b`)).status).toBe(404)
  expect((await fetch(`${server.url}/nothing-of-the/kind`, { method: "GET" })).status).toBe(404)
})
