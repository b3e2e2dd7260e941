import * as v from "valibot"
import { invalid, notImplemented } from "./errors.ts"

/** A version of an object, as it is kept beside its file. */
export interface StoredObject {
  bucket: string
  name: string
  /** A positive 64-bit integer; grows with every write. */
  generation: string
  metageneration: number
  sizeBytes: number
  crc32c: string
  /** Of what was composed there is none. */
  md5Hash?: string | undefined
  /** Of how many objects it was composed; undefined for one that was not. */
  componentCount?: number | undefined
  /** When another version took its place, or it was deleted; undefined of the live version. */
  deletedAt?: string | undefined
  /** Of the content, relative to the server's folder. */
  file: string
  /** The name the content had while it was uploaded. */
  upload: string
  createdAt: string
  updatedAt: string
  fields: ObjectFields
}

const text = v.optional(v.string())

type Plain = string | number | boolean | null

/**
 * Custom metadata, by names of anybody's choice, `__proto__` and `constructor` among them, which valibot's own map would
 * drop. Whatever plain value is given is kept as a text, as Google does; null is nothing.
 */
const METADATA = v.pipe(
  v.custom<Record<string, Plain>>(
    (given) =>
      typeof given === "object" &&
      given !== null &&
      !Array.isArray(given) &&
      Object.values(given).every((one) => one === null || ["string", "number", "boolean"].includes(typeof one)),
    "Invalid value: expected plain values by name",
  ),
  v.transform((given) =>
    Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value === null ? null : String(value)])),
  ),
)

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
  metadata: v.optional(v.pipe(METADATA, v.transform(withoutNulls<Record<string, string | null>>))),
})

const clearable = v.optional(v.nullable(v.string()))

const PATCHED = v.object({
  contentType: clearable,
  contentEncoding: clearable,
  contentDisposition: clearable,
  contentLanguage: clearable,
  cacheControl: clearable,
  customTime: clearable,
  metadata: v.optional(v.nullable(METADATA)),
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
  // Through entries: spread would take `__proto__` for what an object inherits.
  const merged = metadata === null ? {} : withoutNulls(mergeOwn(fields.metadata ?? {}, metadata ?? {}))
  return { ...withoutNulls({ ...fields, ...plain }), metadata: merged }
}

/** The fields after an update: what is not given goes, the custom metadata too. An object's class stays what it is. */
export function replaceFields({ storageClass }: ObjectFields, given: ObjectPatch): ObjectFields {
  const { metadata, ...plain } = given
  return withoutNulls({ ...plain, storageClass, metadata: withoutNulls(metadata ?? {}) })
}

function mergeOwn<T>(before: Record<string, T>, after: Record<string, T | null>): Record<string, T | null> {
  return Object.fromEntries(new Map<string, T | null>([...Object.entries(before), ...Object.entries(after)]))
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
    componentCount: object.componentCount,
    timeDeleted: object.deletedAt,
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
