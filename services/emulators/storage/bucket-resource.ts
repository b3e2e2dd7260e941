import * as v from "valibot"
import type { Policy } from "../iam-policies.ts"
import { invalid, notImplemented } from "./errors.ts"
import { entityTag } from "./object-resource.ts"

/** A bucket as it is kept in the hidden side folder. */
export interface StoredBucket {
  name: string
  metageneration: number
  createdAt: string
  updatedAt: string
  fields: BucketFields
  /** Whose it is; of a bucket of an older version nobody knows. */
  project?: string | undefined
  /** Undefined until somebody sets one. */
  policy?: Policy | undefined
}

const anything = v.optional(v.nullable(v.record(v.string(), v.unknown())))

// Kept and shown. Versioning has its effect; the others have none here: nobody is refused, nothing expires, and there is
// one place to be in.
const FIELDS = {
  location: v.optional(v.nullable(v.string())),
  storageClass: v.optional(v.nullable(v.string())),
  rpo: v.optional(v.nullable(v.string())),
  defaultEventBasedHold: v.optional(v.nullable(v.boolean())),
  cors: v.optional(v.nullable(v.array(v.unknown()))),
  versioning: v.optional(v.nullable(v.object({ enabled: v.optional(v.nullable(v.boolean())) }))),
  labels: v.optional(v.nullable(v.record(v.string(), v.nullable(v.string())))),
  iamConfiguration: anything,
  lifecycle: anything,
  softDeletePolicy: anything,
  website: anything,
  logging: anything,
  billing: anything,
  autoclass: anything,
  customPlacementConfig: anything,
  hierarchicalNamespace: anything,
}

// What is not in the table is output alone, and Google ignores it.
const FIELDS_GIVEN = v.object(FIELDS)
const INSERTED = v.object({ name: v.string(), ...FIELDS })

// Promises that this server would not keep.
const REFUSED = ["encryption", "retentionPolicy", "objectRetention", "ipFilter"]

export type BucketFields = v.InferOutput<typeof FIELDS_GIVEN>
export type BucketPatch = BucketFields

export const parseInsertedBucket = (json: unknown) => parse(INSERTED, json)

export const parseBucketPatch = (json: unknown): BucketPatch => parse(FIELDS_GIVEN, json)

function parse<S extends v.GenericSchema>(schema: S, json: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, json)
  if (!parsed.success) {
    const [issue] = parsed.issues
    throw invalid(`Invalid bucket resource: ${v.getDotPath(issue) ?? "body"}: ${issue.message}`)
  }
  const refused = REFUSED.find((field) => (json as Record<string, unknown>)[field])
  if (refused) throw notImplemented(`The bucket field ${refused}`)
  return parsed.output
}

/** The fields after a patch: null removes what it stands for, objects are merged, all else is replaced. */
export function patchBucketFields(fields: BucketFields, patch: BucketPatch): BucketFields {
  return merge(fields, patch) as BucketFields
}

/** The fields after an update: what is not given goes, in maps too, but for where the bucket is. */
export function replaceBucketFields(fields: BucketFields, given: BucketPatch): BucketFields {
  const { location, customPlacementConfig } = fields
  return merge({}, { ...given, location, customPlacementConfig }) as BucketFields
}

/** https://www.rfc-editor.org/rfc/rfc7396 */
function merge(before: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map(Object.entries(isObject(before) ? before : {}))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else if (value !== undefined) merged.set(name, merge(merged.get(name), value))
  }
  return Object.fromEntries(merged)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

// https://cloud.google.com/storage/docs/locations
const MULTI_REGIONS = new Set(["US", "EU", "ASIA"])

/** https://cloud.google.com/storage/docs/json_api/v1/buckets#resource */
export function bucketResource(bucket: StoredBucket, origin: string) {
  const { location, locationType } = placeOf(bucket)
  return {
    kind: "storage#bucket",
    id: bucket.name,
    selfLink: `${origin}/storage/v1/b/${bucket.name}`,
    name: bucket.name,
    projectNumber: "0",
    metageneration: String(bucket.metageneration),
    storageClass: "STANDARD",
    ...(locationType === "region" ? {} : { rpo: "DEFAULT" }),
    ...bucket.fields,
    location,
    locationType,
    etag: entityTag({ generation: "0", metageneration: bucket.metageneration }),
    timeCreated: bucket.createdAt,
    updated: bucket.updatedAt,
  }
}

export function storageLayout(bucket: StoredBucket) {
  const { hierarchicalNamespace } = bucket.fields
  return {
    kind: "storage#storageLayout",
    bucket: bucket.name,
    ...placeOf(bucket),
    ...(hierarchicalNamespace ? { hierarchicalNamespace } : {}),
  }
}

/** Two regions of one's own choice within a multi-region are a dual-region. */
function placeOf({ fields }: StoredBucket) {
  const location = fields.location?.toUpperCase() ?? "US"
  const isDual = fields.customPlacementConfig || /^[A-Z]+\d$/.test(location)
  return { location, locationType: isDual ? "dual-region" : MULTI_REGIONS.has(location) ? "multi-region" : "region" }
}
