import { deleteBucket, getBucket, insertBucket, listBuckets, patchBucket } from "./buckets.ts"
import { notImplemented } from "./errors.ts"
import type { Answer, ApiCall } from "./http.ts"
import { deleteObject, getObject, listObjects, patchObject } from "./objects.ts"
import { cancelResumable, continueResumable, insertObject } from "./uploads.ts"

export interface Route {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Before the version's path, and after it. */
  base: "" | "/upload" | "/download"
  path: string
  /** The API's own name of the method, by which faults find it. */
  id: string
  serve(call: ApiCall): Answer | Promise<Answer>
}

const BUCKET = "/b/:bucket"
const OBJECT = "/b/:bucket/o/:object"

/** https://cloud.google.com/storage/docs/json_api/v1; an address that is not in the table is not found. */
export const ROUTES: readonly Route[] = [
  { method: "POST", base: "", path: "/b", id: "storage.buckets.insert", serve: insertBucket },
  { method: "GET", base: "", path: "/b", id: "storage.buckets.list", serve: listBuckets },
  { method: "GET", base: "", path: BUCKET, id: "storage.buckets.get", serve: getBucket },
  { method: "PATCH", base: "", path: BUCKET, id: "storage.buckets.patch", serve: patchBucket },
  { method: "DELETE", base: "", path: BUCKET, id: "storage.buckets.delete", serve: deleteBucket },

  { method: "POST", base: "/upload", path: `${BUCKET}/o`, id: "storage.objects.insert", serve: insertObject },
  { method: "PUT", base: "/upload", path: `${BUCKET}/o`, id: "storage.objects.insert", serve: continueResumable },
  { method: "DELETE", base: "/upload", path: `${BUCKET}/o`, id: "storage.objects.insert", serve: cancelResumable },
  { method: "GET", base: "", path: `${BUCKET}/o`, id: "storage.objects.list", serve: listObjects },
  { method: "GET", base: "", path: OBJECT, id: "storage.objects.get", serve: getObject },
  { method: "GET", base: "/download", path: OBJECT, id: "storage.objects.get", serve: getMedia },
  { method: "PATCH", base: "", path: OBJECT, id: "storage.objects.patch", serve: patchObject },
  { method: "DELETE", base: "", path: OBJECT, id: "storage.objects.delete", serve: deleteObject },

  notServed("PUT", BUCKET, "storage.buckets.update"),
  notServed("PUT", OBJECT, "storage.objects.update"),
  // Copy to an address of four parts, rewrite likewise: the rest of the path does not matter.
  notServed("POST", `${OBJECT}/*`, "storage.objects.copy"),
  notServed("POST", `${OBJECT}/rewriteTo/*`, "storage.objects.rewrite"),
  notServed("POST", `${OBJECT}/compose`, "storage.objects.compose"),
  notServed("POST", `${OBJECT}/restore`, "storage.objects.restore"),
  ...(["GET", "POST", "PUT", "PATCH", "DELETE"] as const).flatMap((method) => [
    notServed(method, `${BUCKET}/acl`, "storage.bucketAccessControls"),
    notServed(method, `${BUCKET}/iam`, "storage.buckets.iamPolicy"),
    notServed(method, `${BUCKET}/notificationConfigs`, "storage.notifications"),
    notServed(method, `${OBJECT}/acl`, "storage.objectAccessControls"),
  ]),
]

/** The download path is `alt=media`, whether its query says so or not. */
function getMedia(call: ApiCall): Answer {
  return getObject({ ...call, query: { ...call.query, alt: "media" } })
}

function notServed(method: Route["method"], path: string, id: string): Route {
  return {
    method,
    base: "",
    path,
    id,
    serve: () => {
      throw notImplemented(id)
    },
  }
}
