import { checkConditions, parseConditions } from "./conditions.ts"
import { downloadObject } from "./download.ts"
import { notImplemented } from "./errors.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"
import { listNames, parseListOptions } from "./list-names.ts"
import { objectResource, parseObjectPatch } from "./object-resource.ts"

/** The verbs of `storage.objects` but for uploads: https://cloud.google.com/storage/docs/json_api/v1/objects */
export function getObject(call: ApiCall): Answer {
  const { store, bucket, object, query, origin } = call
  if (query.softDeleted === "true") throw notImplemented("softDeleted")
  const stored = store.getObject(bucket, object, query.generation)
  checkConditions(parseConditions(query), stored, "read")
  return query.alt === "media" ? downloadObject(call, stored) : ok(objectResource(stored, origin))
}

export function listObjects({ store, bucket, query, origin }: ApiCall): Answer {
  if (query.matchGlob !== undefined) throw notImplemented("matchGlob")
  if (query.softDeleted === "true") throw notImplemented("softDeleted")
  const page = listNames(store.objectNames(bucket), parseListOptions(query))
  const items = page.names.map((name) => objectResource(store.getObject(bucket, name), origin))
  return ok({
    kind: "storage#objects",
    // Google leaves empty lists out.
    items: items.length > 0 ? items : undefined,
    prefixes: page.prefixes.length > 0 ? page.prefixes : undefined,
    nextPageToken: page.nextPageToken,
  })
}

export async function patchObject({ store, bucket, object, query, body, origin }: ApiCall): Promise<Answer> {
  const patch = parseObjectPatch(await readJson(body))
  const stored = store.getObject(bucket, object, query.generation)
  return ok(objectResource(store.patchObject(stored, patch, parseConditions(query)), origin))
}

export function deleteObject({ store, bucket, object, query }: ApiCall): Answer {
  store.deleteObject(store.getObject(bucket, object, query.generation), parseConditions(query))
  return { status: 204 }
}
