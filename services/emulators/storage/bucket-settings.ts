import type { BucketFields } from "./bucket-resource.ts"
import { invalid } from "./errors.ts"

/*
 * What Google makes of the settings that it is given: what is empty goes, what is missing gets its default, and times of
 * change are noted. https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
 */

type Settings = Record<string, unknown>

const DAY_MS = 86_400_000
// For so long uniform bucket-level access can be turned off again: https://cloud.google.com/storage/docs/uniform-bucket-level-access
const UNIFORM_ACCESS_LOCK_MS = 90 * DAY_MS

/** Fields as they are kept, out of what somebody has set and what was before. */
export function completeSettings(before: BucketFields, given: BucketFields, nowMs: number): BucketFields {
  const now = new Date(nowMs).toISOString()
  const { labels, cors, lifecycle, hierarchicalNamespace, storageClass, ...fields } = given
  return withoutEmpty({
    ...fields,
    storageClass: storageClass?.toUpperCase(),
    labels: isEmpty(labels) ? undefined : labels,
    cors: isEmpty(cors) ? undefined : cors,
    lifecycle: isEmpty(lifecycle?.["rule"]) ? undefined : lifecycle,
    // As if nobody had said it.
    hierarchicalNamespace: hierarchicalNamespace?.["enabled"] === true ? hierarchicalNamespace : undefined,
    autoclass: completeAutoclass(before.autoclass ?? undefined, given.autoclass ?? undefined, now),
    softDeletePolicy: completeSoftDelete(
      before.softDeletePolicy ?? undefined,
      given.softDeletePolicy ?? undefined,
      now,
    ),
    iamConfiguration: completeAccess(before.iamConfiguration ?? {}, given.iamConfiguration ?? {}, nowMs),
  })
}

/** The terminal class is NEARLINE unless said otherwise: https://cloud.google.com/storage/docs/autoclass */
function completeAutoclass(before: Settings | undefined, given: Settings | undefined, now: string) {
  if (given?.["enabled"] === undefined) return undefined
  const isToggled = before?.["enabled"] !== given["enabled"]
  const toggleTime = isToggled ? now : before?.["toggleTime"]
  if (given["enabled"] !== true) return { enabled: false, toggleTime }
  const terminalStorageClass = given["terminalStorageClass"] ?? "NEARLINE"
  const isMoved = isToggled || before?.["terminalStorageClass"] !== terminalStorageClass
  const terminalStorageClassUpdateTime = isMoved ? now : before?.["terminalStorageClassUpdateTime"]
  return { enabled: true, toggleTime, terminalStorageClass, terminalStorageClassUpdateTime }
}

/** A 64-bit number is a text in JSON. The policy is shown and has no effect: nothing that was deleted comes back. */
function completeSoftDelete(before: Settings | undefined, given: Settings | undefined, now: string) {
  if (given?.["retentionDurationSeconds"] === undefined) return undefined
  const retentionDurationSeconds = JSON.stringify(given["retentionDurationSeconds"]).replaceAll(`"`, "")
  if (!/^\d+$/.test(retentionDurationSeconds))
    throw invalid("Invalid value for softDeletePolicy.retentionDurationSeconds")
  const isSame = before?.["retentionDurationSeconds"] === retentionDurationSeconds
  return { retentionDurationSeconds, effectiveTime: isSame ? before["effectiveTime"] : now }
}

function completeAccess(before: Settings, given: Settings, nowMs: number) {
  const publicAccessPrevention = given["publicAccessPrevention"] ?? "inherited"
  if (publicAccessPrevention !== "inherited" && publicAccessPrevention !== "enforced") {
    throw invalid(
      `Invalid argument: iamConfiguration.publicAccessPrevention: ${JSON.stringify(publicAccessPrevention)}`,
    )
  }
  // Two names of one thing; the older one follows.
  const { enabled } = (given["uniformBucketLevelAccess"] ?? {}) as Settings
  const known = before["uniformBucketLevelAccess"] as Settings | undefined
  const lockedTime = known?.["lockedTime"] ?? new Date(nowMs + UNIFORM_ACCESS_LOCK_MS).toISOString()
  const uniform = enabled === true ? { enabled, lockedTime } : { enabled: false }
  return { bucketPolicyOnly: uniform, uniformBucketLevelAccess: uniform, publicAccessPrevention }
}

const isEmpty = (value: unknown) =>
  value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0)

function withoutEmpty(fields: Record<string, unknown>): BucketFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))
}
