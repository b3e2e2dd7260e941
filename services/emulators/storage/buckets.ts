import {
  bucketResource,
  parseBucketPatch,
  parseInsertedBucket,
  patchBucketFields,
  replaceBucketFields,
  storageLayout,
} from "./bucket-resource.ts"
import { checkConditions, parseConditions } from "./conditions.ts"
import { invalid, notImplemented } from "./errors.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"
import { listNames, parseListOptions } from "./list-names.ts"
import { isTrue } from "./names.ts"

/** The verbs of `storage.buckets`: https://cloud.google.com/storage/docs/json_api/v1/buckets */
export async function insertBucket({ store, query, body, origin }: ApiCall): Promise<Answer> {
  const project = requireProject(query)
  if (isTrue(query.enableObjectRetention)) throw notImplemented("enableObjectRetention")
  const { name, ...fields } = parseInsertedBucket(await readJson(body))
  return ok(bucketResource(store.createBucket(name, project, fields), origin))
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

export const patchBucket = (call: ApiCall) => changeBucket(call, patchBucketFields)

export const updateBucket = (call: ApiCall) => changeBucket(call, replaceBucketFields)

async function changeBucket(
  { store, bucket, query, headers, body, origin }: ApiCall,
  change: typeof patchBucketFields,
): Promise<Answer> {
  const given = parseBucketPatch(await readJson(body))
  const changed = store.changeBucket(bucket, (fields) => change(fields, given), parseConditions(query, headers))
  return ok(bucketResource(changed, origin))
}

export function getStorageLayout({ store, bucket }: ApiCall): Answer {
  return ok(storageLayout(store.getBucket(bucket)))
}

export function deleteBucket({ store, bucket, query, headers }: ApiCall): Answer {
  store.deleteBucket(bucket, parseConditions(query, headers))
  return { status: 204 }
}

function requireProject(query: ApiCall["query"]): string {
  if (!query.project) throw invalid("Required parameter: project")
  return query.project
}
