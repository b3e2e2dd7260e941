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

test("what a bucket cannot do here is refused, not ignored", async () => {
  const { client } = await startTestStorage()
  const versioned = client().createBucket("versioned", { versioning: { enabled: true } })
  await expect(versioned).rejects.toMatchObject({ code: 501, message: expect.stringContaining("versioning") })
})
