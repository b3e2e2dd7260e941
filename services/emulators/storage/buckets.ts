import { bucketResource, parseBucketPatch, parseInsertedBucket } from "./bucket-resource.ts"
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

export function getBucket({ store, bucket, query, origin }: ApiCall): Answer {
  const stored = store.getBucket(bucket)
  checkConditions(parseConditions(query), { generation: "0", metageneration: stored.metageneration }, "read")
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

export async function patchBucket({ store, bucket, query, body, origin }: ApiCall): Promise<Answer> {
  const patch = parseBucketPatch(await readJson(body))
  return ok(bucketResource(store.patchBucket(bucket, patch, parseConditions(query)), origin))
}

export function deleteBucket({ store, bucket, query }: ApiCall): Answer {
  store.deleteBucket(bucket, parseConditions(query))
  return { status: 204 }
}

function requireProject(query: ApiCall["query"]): void {
  if (!query.project) throw invalid("Required parameter: project")
}
