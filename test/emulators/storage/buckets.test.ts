import { expect, test } from "vitest"
import { startTestStorage } from "./start-storage.ts"

test("a bucket is created once, listed, patched and deleted", async () => {
  const { client, bucket } = await startTestStorage()
  await expect(client().createBucket("shop")).rejects.toMatchObject({ code: 409 })
  await client().createBucket("archive", { location: "us-central1", labels: { team: "a", old: "x" } })
  const [buckets] = await client().getBuckets()
  expect(buckets.map(({ name }) => name)).toEqual(["archive", "shop"])
  const archive = client().bucket("archive")
  await archive.setMetadata({ labels: { old: null, new: "y" } })
  const [metadata] = await archive.getMetadata()
  expect(metadata).toMatchObject({ location: "US-CENTRAL1", metageneration: "2", labels: { team: "a", new: "y" } })
  expect(metadata.labels).not.toHaveProperty("old")
  await archive.delete({ ifMetagenerationMatch: 2 })
  expect((await archive.exists())[0]).toBe(false)
  expect((await bucket.exists())[0]).toBe(true)
})

test("a bucket with objects in it cannot be deleted, an emptied one can", async () => {
  const { bucket } = await startTestStorage()
  await bucket.file("a/b/c").save("", { resumable: false })
  await expect(bucket.delete()).rejects.toMatchObject({
    code: 409,
    message: "The bucket you tried to delete is not empty.",
  })
  await bucket.file("a/b/c").delete()
  await bucket.delete()
  await expect(bucket.file("a").save("", { resumable: false })).rejects.toMatchObject({ code: 404 })
})

test.each(["ab", "Shop", "-shop", "shop_", "goog-shop", "my.google.shop", "10.0.0.1", "a..b", "x".repeat(64), "../x"])(
  "a bucket cannot be named %s",
  async (name) => {
    const { client } = await startTestStorage()
    await expect(client().createBucket(name)).rejects.toMatchObject({
      code: 400,
      message: expect.stringContaining(name),
    })
  },
)

test("what a bucket cannot do here is refused, not ignored, and nobody tries it again", async () => {
  const { client } = await startTestStorage()
  const retained = client().createBucket("retained", { retentionPolicy: { retentionPeriod: 100 } })
  await expect(retained).rejects.toMatchObject({ code: 400, message: expect.stringContaining("retentionPolicy") })
})

test("a patch merges objects, takes null for nothing, and passes over what is output alone", async () => {
  const { server } = await startTestStorage()
  const patch = async (body: object) => {
    const answer = await fetch(`${server.url}/storage/v1/b/shop`, { method: "PATCH", body: JSON.stringify(body) })
    return (await answer.json()) as Record<string, unknown>
  }
  await patch({ labels: { a: "1", b: "2" }, iamConfiguration: { uniformBucketLevelAccess: { enabled: true } } })
  const after = await patch({
    kind: "storage#bucket",
    timeCreated: "2001-01-01T00:00:00Z",
    labels: { a: null, c: "3" },
    iamConfiguration: { publicAccessPrevention: "enforced" },
    versioning: { enabled: true },
  })
  expect(after).toMatchObject({
    labels: { b: "2", c: "3" },
    iamConfiguration: { uniformBucketLevelAccess: { enabled: true }, publicAccessPrevention: "enforced" },
    versioning: { enabled: true },
    locationType: "multi-region",
  })
  expect(after["timeCreated"]).not.toContain("2001")
  const layout = await fetch(`${server.url}/storage/v1/b/shop/storageLayout`)
  expect(await layout.json()).toMatchObject({ kind: "storage#storageLayout", location: "US" })
})
