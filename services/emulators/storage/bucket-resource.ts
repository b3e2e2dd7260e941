import * as v from "valibot"
import { invalid, notImplemented } from "./errors.ts"
import { entityTag } from "./object-resource.ts"

/** A bucket as it is kept in the hidden side folder. */
export interface StoredBucket {
  name: string
  metageneration: number
  createdAt: string
  updatedAt: string
  fields: BucketFields
}

const anything = v.optional(v.record(v.string(), v.unknown()))

// Kept and shown, but without effect here: nobody is refused, nothing expires, and there is one place to be in.
const FIELDS = {
  location: v.optional(v.string()),
  storageClass: v.optional(v.string()),
  iamConfiguration: anything,
  lifecycle: anything,
  softDeletePolicy: anything,
}

const INSERTED = v.strictObject({
  name: v.string(),
  ...FIELDS,
  labels: v.optional(v.record(v.string(), v.string())),
})

const PATCHED = v.strictObject({
  ...FIELDS,
  labels: v.optional(v.record(v.string(), v.nullable(v.string()))),
})

export type BucketFields = Omit<v.InferOutput<typeof INSERTED>, "name">
export type BucketPatch = v.InferOutput<typeof PATCHED>

export const parseInsertedBucket = (json: unknown) => parse(INSERTED, json)

export const parseBucketPatch = (json: unknown): BucketPatch => parse(PATCHED, json)

function parse<S extends v.GenericSchema>(schema: S, json: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, json)
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0]
  const field = v.getDotPath(issue)
  if (issue.type === "strict_object") throw notImplemented(`The bucket field ${field ?? issue.received}`)
  throw invalid(`Invalid bucket resource: ${field ?? "body"}: ${issue.message}`)
}

/** The fields after a patch: a label of null is removed, the others are merged. */
export function patchBucketFields(fields: BucketFields, patch: BucketPatch): BucketFields {
  const labels = Object.entries({ ...fields.labels, ...patch.labels }).flatMap(([key, value]) =>
    value === null ? [] : [[key, value] as const],
  )
  return { ...fields, ...patch, labels: Object.fromEntries(labels) }
}

/** https://cloud.google.com/storage/docs/json_api/v1/buckets#resource */
export function bucketResource(bucket: StoredBucket, origin: string) {
  return {
    kind: "storage#bucket",
    id: bucket.name,
    selfLink: `${origin}/storage/v1/b/${bucket.name}`,
    name: bucket.name,
    projectNumber: "0",
    metageneration: String(bucket.metageneration),
    storageClass: "STANDARD",
    ...bucket.fields,
    location: bucket.fields.location?.toUpperCase() ?? "US",
    etag: entityTag({ generation: "0", metageneration: bucket.metageneration }),
    timeCreated: bucket.createdAt,
    updated: bucket.updatedAt,
  }
}
