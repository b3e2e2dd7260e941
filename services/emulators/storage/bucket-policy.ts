import * as v from "valibot"
import { emptyPolicy, etagOfPolicy, type Policy, replacePolicy } from "../iam-policies.ts"
import type { StoredBucket } from "./bucket-resource.ts"
import { conditionNotMet, invalid } from "./errors.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"

/** The IAM policy of a bucket: https://cloud.google.com/storage/docs/json_api/v1/buckets/getIamPolicy */
export function getPolicy({ store, bucket }: ApiCall): Answer {
  return ok(policyResource(store.getBucket(bucket)))
}

const POLICY = v.object({
  etag: v.optional(v.nullable(v.string())),
  version: v.optional(v.nullable(v.number())),
  bindings: v.optional(
    v.nullable(
      v.array(
        v.object({
          role: v.string(),
          members: v.optional(v.array(v.string())),
          condition: v.optional(v.nullable(v.record(v.string(), v.string()))),
        }),
      ),
    ),
  ),
})

export async function setPolicy({ store, bucket, body }: ApiCall): Promise<Answer> {
  const parsed = v.safeParse(POLICY, await readJson(body))
  if (!parsed.success) throw invalid(`Invalid policy: ${parsed.issues[0].message}`)
  const { etag, ...given } = parsed.output
  const before = policyOf(store.getBucket(bucket))
  if (etag && etag !== etagOfPolicy(before)) throw conditionNotMet()
  return ok(policyResource(store.setPolicy(bucket, replacePolicy(before, given as Partial<Policy>, invalid))))
}

/** Everybody may everything here. */
export function testPermissions({ store, bucket, queries }: ApiCall): Answer {
  store.getBucket(bucket)
  const permissions = queries["permissions"] ?? []
  if (permissions.length === 0) throw invalid("Required parameter: permissions")
  const wrong = permissions.find((permission) => !/^storage\.\w+\.\w+$/.test(permission))
  if (wrong !== undefined) throw invalid(`Invalid permission: ${wrong}`)
  return ok({ kind: "storage#testIamPermissionsResponse", permissions })
}

function policyResource(bucket: StoredBucket) {
  const { version, bindings } = policyOf(bucket)
  return {
    kind: "storage#policy",
    resourceId: `projects/_/buckets/${bucket.name}`,
    version: Math.max(version, 1),
    etag: etagOfPolicy(policyOf(bucket)),
    bindings,
  }
}

/** As Google begins: https://cloud.google.com/storage/docs/access-control/iam-roles#basic-roles-modifiable */
function policyOf({ policy, project = "local" }: StoredBucket): Policy {
  return (
    policy ?? {
      ...emptyPolicy,
      bindings: [
        {
          role: "roles/storage.legacyBucketOwner",
          members: [`projectEditor:${project}`, `projectOwner:${project}`],
        },
        { role: "roles/storage.legacyBucketReader", members: [`projectViewer:${project}`] },
      ],
    }
  )
}
