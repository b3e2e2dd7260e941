import type { google } from "@google-cloud/run/build/protos/protos.js"
import { status } from "@grpc/grpc-js"
import { etagOfPolicy, type Policy, replacePolicy } from "./iam-policies.ts"
import { StatusError } from "./status-error.ts"

// IAM policies as the messages of google.iam.v1, for the servers that speak gRPC.

export function toPolicyMessage(policy: Policy): google.iam.v1.IPolicy {
  const bindings = policy.bindings.map(({ role, members, condition = null }) => ({ role, members, condition }))
  return { version: policy.version, bindings, etag: Buffer.from(etagOfPolicy(policy), "base64") }
}

/** The policy after a SetIamPolicy. */
export function changePolicy(before: Policy, { policy }: google.iam.v1.ISetIamPolicyRequest): Policy {
  const { etag } = policy ?? {}
  const given = typeof etag === "string" ? etag : Buffer.from(etag ?? []).toString("base64")
  if (given !== "" && given !== etagOfPolicy(before)) {
    throw new StatusError(
      status.ABORTED,
      "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
    )
  }
  const bindings = (policy?.bindings ?? []).map(({ role, members, condition }) => ({
    ...(role ? { role } : {}),
    members: members ?? [],
    condition: condition as Policy["bindings"][number]["condition"],
  }))
  return replacePolicy(
    before,
    { version: policy?.version ?? 0, bindings },
    (message) => new StatusError(status.INVALID_ARGUMENT, message),
  )
}
