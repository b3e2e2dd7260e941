import { bucketResource, parseBucketPatch, parseInsertedBucket, storageLayout } from "./bucket-resource.ts"
import { checkConditions, parseConditions } from "./conditions.ts"
import { invalid } from "./errors.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"
import { listNames, parseListOptions } from "./list-names.ts"

/** The verbs of `storage.buckets`: https://cloud.google.com/storage/docs/json_api/v1/buckets */
export async function insertBucket({ store, query, body, origin }: ApiCall): Promise<Answer> {
  requireProject(query)
  const { name, ...fields } = parseInsertedBucket(await readJson(body))
  return ok(bucketResource(store.createBucket(name, fields), origin))
}

export function getBucket({ store, bucket, query, headers, origin }: ApiCall): Answer {
  const stored = store.getBucket(bucket)
  checkConditions(parseConditions(query, headers), { generation: "0", metageneration: stored.metageneration }, "read")
  return ok(bucketResource(stored, origin))
}

export function listBuckets({ store, query, origin }: ApiCall): Answer {
  requireProject(query)
  const { prefix, maxResults, pageToken } = query
  const page = listNames(store.bucketNames(), parseListOptions({ prefix, maxResults, pageToken }))
  const items = page.names.map((name) => bucketResource(store.getBucket(name), origin))
  return ok({
    kind: "storage#buckets",
    items: items.length > 0 ? items : undefined,
    nextPageToken: page.nextPageToken,
  })
}

export async function patchBucket({ store, bucket, query, headers, body, origin }: ApiCall): Promise<Answer> {
  const patch = parseBucketPatch(await readJson(body))
  return ok(bucketResource(store.patchBucket(bucket, patch, parseConditions(query, headers)), origin))
}

/** What is not given goes, but for where it is. */
export async function updateBucket({ store, bucket, query, headers, body, origin }: ApiCall): Promise<Answer> {
  const given = parseBucketPatch(await readJson(body))
  const { location: _, ...fields } = store.getBucket(bucket).fields
  const nothing = Object.fromEntries(Object.keys(fields).map((field) => [field, null]))
  return ok(
    bucketResource(store.patchBucket(bucket, { ...nothing, ...given }, parseConditions(query, headers)), origin),
  )
}

export function getStorageLayout({ store, bucket }: ApiCall): Answer {
  return ok(storageLayout(store.getBucket(bucket)))
}

export function deleteBucket({ store, bucket, query, headers }: ApiCall): Answer {
  store.deleteBucket(bucket, parseConditions(query, headers))
  return { status: 204 }
}

function requireProject(query: ApiCall["query"]): void {
  if (!query.project) throw invalid("Required parameter: project")
}
