import type { google } from "@google-cloud/run/build/protos/protos.js"
import type { HttpRule } from "../http-rules.ts"
import { changePolicy, toPolicyMessage } from "../iam-messages.ts"
import { emptyPolicy } from "../iam-policies.ts"
import type { ServiceMethods } from "../service-methods.ts"
import { type Collection, checkName, notFound } from "./names.ts"
import type { Store } from "./store.ts"

/** IAM policies of what there is: https://cloud.google.com/pubsub/docs/access-control */
export function iamService(store: Store): ServiceMethods {
  return {
    name: "google.iam.v1.IAMPolicy",
    http,
    unary: {
      GetIamPolicy: (request: google.iam.v1.IGetIamPolicyRequest) =>
        toPolicyMessage(store.policies.get(find(store, request.resource)) ?? emptyPolicy),
      SetIamPolicy: (request: google.iam.v1.ISetIamPolicyRequest) => {
        const name = find(store, request.resource)
        const policy = changePolicy(store.policies.get(name) ?? emptyPolicy, request)
        store.policies.set(name, policy)
        return toPolicyMessage(policy)
      },
      TestIamPermissions: (request: google.iam.v1.ITestIamPermissionsRequest) => {
        find(store, request.resource)
        return { permissions: request.permissions ?? [] }
      },
    },
  }
}

/** The name, of something that there is. */
function find({ topics, subscriptions, snapshots, schemas }: Store, name: string | null | undefined): string {
  const all: Record<Collection, ReadonlyMap<string, unknown>> = { topics, subscriptions, snapshots, schemas }
  const [, , kind = ""] = (name ?? "").split("/")
  const collection = kind in all ? (kind as Collection) : "topics"
  if (!all[collection].has(checkName(collection, name))) throw notFound(name ?? "")
  return name ?? ""
}

// As pubsub_v1.yaml of googleapis has them, beside the service's own addresses.
const resources = ["topics", "subscriptions", "snapshots", "schemas"]
const addresses = (verb: string) => resources.map((kind) => `/v1/{resource=projects/*/${kind}/*}:${verb}`)
const http: Record<string, HttpRule[]> = {
  GetIamPolicy: addresses("getIamPolicy").flatMap((path) => [{ get: path }, { post: path, body: "*" }]),
  SetIamPolicy: addresses("setIamPolicy").map((post) => ({ post, body: "*" })),
  TestIamPermissions: addresses("testIamPermissions").map((post) => ({ post, body: "*" })),
}
