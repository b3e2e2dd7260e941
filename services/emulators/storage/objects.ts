import { checkConditions, parseConditions } from "./conditions.ts"
import { downloadObject } from "./download.ts"
import { notImplemented } from "./errors.ts"
import { readGlob } from "./glob.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"
import { listNames, parseListOptions } from "./list-names.ts"
import { isTrue } from "./names.ts"
import { objectResource, parseObjectPatch, patchFields, replaceFields } from "./object-resource.ts"

/** The verbs of `storage.objects` but for uploads and copies: https://cloud.google.com/storage/docs/json_api/v1/objects */
export function getObject(call: ApiCall): Answer {
  const { store, bucket, object, query, headers, origin } = call
  if (isTrue(query.softDeleted)) throw notImplemented("softDeleted")
  const stored = store.getObject(bucket, object, query.generation)
  checkConditions(parseConditions(query, headers), stored, "read")
  return query.alt === "media" ? downloadObject(call, stored) : ok(objectResource(stored, origin))
}

export function listObjects({ store, bucket, query, origin }: ApiCall): Answer {
  if (isTrue(query.softDeleted)) throw notImplemented("softDeleted")
  const matches = query.matchGlob === undefined ? () => true : readGlob(query.matchGlob)
  const page = listNames(store.objectNames(bucket, isTrue(query.versions)).filter(matches), parseListOptions(query))
  const items = page.names.flatMap((name) =>
    isTrue(query.versions) ? store.versionsOf(bucket, name) : [store.getObject(bucket, name)],
  )
  return ok({
    kind: "storage#objects",
    // Google leaves empty lists out.
    items: items.length > 0 ? items.map((object) => objectResource(object, origin)) : undefined,
    prefixes: page.prefixes.length > 0 ? page.prefixes : undefined,
    nextPageToken: page.nextPageToken,
  })
}

export const patchObject = (call: ApiCall) => changeObject(call, patchFields)

export const updateObject = (call: ApiCall) => changeObject(call, replaceFields)

async function changeObject(
  { store, bucket, object, query, headers, body, origin }: ApiCall,
  change: typeof patchFields,
): Promise<Answer> {
  const given = parseObjectPatch(await readJson(body))
  const stored = store.getObject(bucket, object, query.generation)
  const changed = store.changeObject(stored, (fields) => change(fields, given), parseConditions(query, headers))
  return ok(objectResource(changed, origin))
}

export function deleteObject({ store, bucket, object, query, headers }: ApiCall): Answer {
  const { generation } = query
  const stored = store.getObject(bucket, object, generation)
  store.deleteObject(stored, parseConditions(query, headers), generation !== undefined)
  return { status: 204 }
}
