import { constants } from "node:fs"
import { copyFile } from "node:fs/promises"
import { join } from "node:path"
import * as v from "valibot"
import { type Conditions, checkConditions, parseConditions, parseSourceConditions } from "./conditions.ts"
import { ApiError, invalid } from "./errors.ts"
import { uploadPath } from "./folder.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"
import { checkObjectName } from "./names.ts"
import { type ObjectFields, objectResource, parseInsertedObject, type StoredObject } from "./object-resource.ts"
import { UploadFile } from "./upload-file.ts"

/** The verbs that make an object of others: https://cloud.google.com/storage/docs/json_api/v1/objects */

// https://cloud.google.com/storage/quotas#objects
const COMPONENTS_MAX = 32

export async function rewriteObject(call: ApiCall): Promise<Answer> {
  const object = await copy(call)
  const size = String(object.sizeBytes)
  // One call does all of it, however big it is.
  return ok({
    kind: "storage#rewriteResponse",
    totalBytesRewritten: size,
    objectSize: size,
    done: true,
    resource: objectResource(object, call.origin),
  })
}

export async function copyObject(call: ApiCall): Promise<Answer> {
  return ok(objectResource(await copy(call), call.origin))
}

/** To another name in the same bucket, in one step: nobody sees both, or neither. */
export async function moveObject(call: ApiCall): Promise<Answer> {
  const { store, bucket, object, query, destination } = call
  const name = destination?.object ?? ""
  checkObjectName(name)
  const source = store.getObject(bucket, object)
  checkConditions(parseSourceConditions(query), source, "write")
  if (name === object) throw invalid("The source and destination objects are the same.")
  const moved = await commitCopy(call, source, { bucket, object: name }, source.fields)
  store.deleteObject(source, {})
  return ok(objectResource(moved, call.origin))
}

async function copy(call: ApiCall): Promise<StoredObject> {
  const { store, bucket, object, query, destination } = call
  const name = destination?.object ?? ""
  checkObjectName(name)
  const into = store.getBucket(destination?.bucket ?? "").name
  const source = store.getObject(bucket, object, query.sourceGeneration)
  checkConditions(parseSourceConditions(query), source, "write")
  const body = await readJson(call.body)
  requireType(body)
  const given = parseInsertedObject(body)
  const { name: _, crc32c: __, md5Hash: ___, ...fields } = given
  // Metadata that is given takes the place of the source's, all of it.
  const kept: ObjectFields =
    Object.keys(fields).length > 0 ? { contentType: source.fields.contentType, ...fields } : source.fields
  return commitCopy(call, source, { bucket: into, object: name }, kept)
}

/** As Go's client knows it: a destination that names a bucket, and neither itself nor a content type, is refused. */
function requireType(destination: unknown): void {
  const { bucket, name, contentType } = destination as Record<string, unknown>
  if (bucket !== undefined && !name && contentType === undefined) throw new ApiError(400, "required", "Required")
}

/** Commits the content again, as if it had been uploaded; what it is made of is what it was. */
async function commitCopy(
  { store, folder, query, headers }: ApiCall,
  source: StoredObject,
  into: { bucket: string; object: string },
  fields: ObjectFields,
): Promise<StoredObject> {
  return UploadFile.use(folder, async (file) => {
    // A clone where the file system has them.
    await copyFile(join(folder, source.file), uploadPath(folder, file.id), constants.COPYFILE_FICLONE)
    const { sizeBytes, crc32c, md5Hash, componentCount } = source
    const content = { upload: file.id, sizeBytes, crc32c, md5Hash, componentCount }
    return store.commitObject(into.bucket, into.object, content, fields, parseConditions(query, headers))
  })
}

const COMPOSED = v.object({
  destination: v.optional(v.unknown()),
  sourceObjects: v.pipe(
    v.array(
      v.object({
        name: v.string(),
        generation: v.optional(v.union([v.string(), v.number()])),
        objectPreconditions: v.optional(v.object({ ifGenerationMatch: v.optional(v.union([v.string(), v.number()])) })),
      }),
    ),
    v.minLength(1),
  ),
})

export async function composeObject(call: ApiCall): Promise<Answer> {
  const { store, folder, bucket, object, query, headers, body } = call
  checkObjectName(object)
  const parsed = v.safeParse(COMPOSED, await readJson(body))
  if (!parsed.success) throw invalid("You must provide at least one source component.")
  const { destination, sourceObjects } = parsed.output
  if (sourceObjects.length > COMPONENTS_MAX) {
    throw invalid(
      `The number of source components provided (${sourceObjects.length}) exceeds the maximum (${COMPONENTS_MAX}).`,
    )
  }
  const sources = sourceObjects.map(({ name, generation, objectPreconditions }) => {
    const source = store.getObject(bucket, name, generation === undefined ? undefined : String(generation))
    const match = objectPreconditions?.ifGenerationMatch
    const conditions: Conditions = match === undefined ? {} : { generationMatch: BigInt(match) }
    checkConditions(conditions, source, "write")
    return source
  })
  // Its hashes are not those of what is given: clients send what they know of the first source.
  const { name: _, crc32c: __, md5Hash: ___, ...fields } = parseInsertedObject(destination ?? {})
  return UploadFile.use(folder, async (file) => {
    for (const source of sources) await file.receive(store.readObject(source))
    const { md5Hash: ____, ...content } = file.finish({})
    const componentCount = sources.reduce((sum, source) => sum + (source.componentCount ?? 1), 0)
    const conditions = parseConditions(query, headers)
    return ok(
      objectResource(
        store.commitObject(bucket, object, { ...content, componentCount }, fields, conditions),
        call.origin,
      ),
    )
  })
}
