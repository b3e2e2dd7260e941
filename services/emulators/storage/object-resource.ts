import * as v from "valibot"
import { invalid, notImplemented } from "./errors.ts"

/** An object's live version, as it is kept beside its file. */
export interface StoredObject {
  bucket: string
  name: string
  /** A positive 64-bit integer; grows with every write. */
  generation: string
  metageneration: number
  sizeBytes: number
  crc32c: string
  md5Hash: string
  /** Of the content, relative to the server's folder. */
  file: string
  /** The name the content had while it was uploaded. */
  upload: string
  createdAt: string
  updatedAt: string
  fields: ObjectFields
}

const text = v.optional(v.string())

const INSERTED = v.object({
  name: text,
  crc32c: text,
  md5Hash: text,
  contentType: text,
  contentEncoding: text,
  contentDisposition: text,
  contentLanguage: text,
  cacheControl: text,
  customTime: text,
  storageClass: text,
  metadata: v.optional(v.record(v.string(), v.string())),
})

const clearable = v.optional(v.nullable(v.string()))

const PATCHED = v.object({
  contentType: clearable,
  contentEncoding: clearable,
  contentDisposition: clearable,
  contentLanguage: clearable,
  cacheControl: clearable,
  customTime: clearable,
  metadata: v.optional(v.nullable(v.record(v.string(), v.nullable(v.string())))),
})

/** What a client says of an object when it uploads it. */
export type InsertedObject = v.InferOutput<typeof INSERTED>

/** What a client may set of an object and is kept. */
export type ObjectFields = Omit<InsertedObject, "name" | "crc32c" | "md5Hash">

export type ObjectPatch = v.InferOutput<typeof PATCHED>

// Fields with an effect that this server does not have. All others that it does not know are output-only: Google ignores them.
const WITHOUT_EFFECT = ["acl", "eventBasedHold", "temporaryHold", "retention", "contexts", "kmsKeyName"]

export const parseInsertedObject = (json: unknown): InsertedObject => parse(INSERTED, json)

export const parseObjectPatch = (json: unknown): ObjectPatch => parse(PATCHED, json)

function parse<S extends v.GenericSchema>(schema: S, json: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, json)
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw invalid(`Invalid object resource: ${v.getDotPath(issue) ?? "body"}: ${issue.message}`)
  }
  const refused = WITHOUT_EFFECT.find((field) => (json as Record<string, unknown>)[field])
  if (refused) throw notImplemented(`The object field ${refused}`)
  return parsed.output
}

/** The fields after a patch: null removes a field or one entry of the custom metadata, the rest is merged. */
export function patchFields(fields: ObjectFields, patch: ObjectPatch): ObjectFields {
  const { metadata, ...plain } = patch
  const merged = metadata === null ? {} : withoutNulls({ ...fields.metadata, ...metadata })
  return { ...withoutNulls({ ...fields, ...plain }), metadata: merged }
}

function withoutNulls<T extends object>(values: T) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], null>
  }
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
export function objectResource(object: StoredObject, origin: string) {
  const { bucket, name, generation, metageneration, fields } = object
  const path = `storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`
  return {
    kind: "storage#object",
    id: `${bucket}/${name}/${generation}`,
    selfLink: `${origin}/${path}`,
    mediaLink: `${origin}/download/${path}?generation=${generation}&alt=media`,
    name,
    bucket,
    generation,
    metageneration: String(metageneration),
    storageClass: "STANDARD",
    ...fields,
    // Google leaves an empty map out.
    metadata: fields.metadata && Object.keys(fields.metadata).length > 0 ? fields.metadata : undefined,
    size: String(object.sizeBytes),
    crc32c: object.crc32c,
    md5Hash: object.md5Hash,
    etag: entityTag(object),
    timeCreated: object.createdAt,
    updated: object.updatedAt,
    timeStorageClassUpdated: object.createdAt,
    timeFinalized: object.createdAt,
  }
}

/** Changes with every generation and metageneration, as Google's does; its form is opaque. */
export function entityTag(version: { generation: string; metageneration: number }): string {
  return Buffer.from(`${version.generation}/${version.metageneration}`).toString("base64")
}
