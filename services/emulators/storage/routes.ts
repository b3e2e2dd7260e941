import {
  deleteBucket,
  getBucket,
  getStorageLayout,
  insertBucket,
  listBuckets,
  patchBucket,
  updateBucket,
} from "./buckets.ts"
import { composeObject, copyObject, moveObject, rewriteObject } from "./copies.ts"
import { notImplemented } from "./errors.ts"
import type { Answer, ApiCall } from "./http.ts"
import { deleteObject, getObject, listObjects, patchObject, updateObject } from "./objects.ts"
import { cancelResumable, continueResumable, insertObject } from "./uploads.ts"

export interface Route {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Before the version's path, and after it. */
  base: "" | "/upload" | "/resumable/upload" | "/download"
  path: string
  /** The API's own name of the method, by which faults find it. */
  id: string
  serve(call: ApiCall): Answer | Promise<Answer>
  /** The XML API's addresses have no version, and its errors are XML. */
  isXml?: boolean
}

const BUCKET = "/b/:bucket"
const OBJECT = "/b/:bucket/o/:object"
// A bucket's name has three letters at least; those of the JSON API's own addresses are none.
const XML_OBJECT = "/:bucket(^(?!storage$|upload$|download$|resumable$|batch$|healthz$)[a-z0-9][a-z0-9._-]+[a-z0-9]$)/*"
const TO = "b/:toBucket/o/:toObject"

/** https://cloud.google.com/storage/docs/json_api/v1; an address that is not in the table is not found. */
export const ROUTES: readonly Route[] = [
  { method: "POST", base: "", path: "/b", id: "storage.buckets.insert", serve: insertBucket },
  { method: "GET", base: "", path: "/b", id: "storage.buckets.list", serve: listBuckets },
  { method: "GET", base: "", path: BUCKET, id: "storage.buckets.get", serve: getBucket },
  {
    method: "GET",
    base: "",
    path: `${BUCKET}/storageLayout`,
    id: "storage.buckets.getStorageLayout",
    serve: getStorageLayout,
  },
  { method: "PATCH", base: "", path: BUCKET, id: "storage.buckets.patch", serve: patchBucket },
  { method: "PUT", base: "", path: BUCKET, id: "storage.buckets.update", serve: updateBucket },
  { method: "DELETE", base: "", path: BUCKET, id: "storage.buckets.delete", serve: deleteBucket },

  // gcloud and Python have resumable uploads at an address of their own.
  ...(["/upload", "/resumable/upload"] as const).flatMap((base): Route[] => [
    { method: "POST", base, path: `${BUCKET}/o`, id: "storage.objects.insert", serve: insertOrContinue },
    { method: "PUT", base, path: `${BUCKET}/o`, id: "storage.objects.insert", serve: continueResumable },
    { method: "DELETE", base, path: `${BUCKET}/o`, id: "storage.objects.insert", serve: cancelResumable },
  ]),
  { method: "GET", base: "", path: `${BUCKET}/o`, id: "storage.objects.list", serve: listObjects },
  { method: "GET", base: "", path: OBJECT, id: "storage.objects.get", serve: getObject },
  { method: "GET", base: "/download", path: OBJECT, id: "storage.objects.get", serve: getMedia },
  { method: "PATCH", base: "", path: OBJECT, id: "storage.objects.patch", serve: patchObject },
  { method: "PUT", base: "", path: OBJECT, id: "storage.objects.update", serve: updateObject },
  { method: "DELETE", base: "", path: OBJECT, id: "storage.objects.delete", serve: deleteObject },
  { method: "POST", base: "", path: `${OBJECT}/rewriteTo/${TO}`, id: "storage.objects.rewrite", serve: rewriteObject },
  { method: "POST", base: "", path: `${OBJECT}/copyTo/${TO}`, id: "storage.objects.copy", serve: copyObject },
  { method: "POST", base: "", path: `${OBJECT}/moveTo/o/:toObject`, id: "storage.objects.move", serve: moveObject },
  { method: "POST", base: "", path: `${OBJECT}/compose`, id: "storage.objects.compose", serve: composeObject },

  // There are none of either: a bucket's recursive delete asks.
  { method: "GET", base: "", path: `${BUCKET}/managedFolders`, id: "storage.managedFolders.list", serve: listNothing },
  { method: "GET", base: "", path: `${BUCKET}/folders`, id: "storage.folders.list", serve: listNothing },

  notServed("POST", `${OBJECT}/restore`, "storage.objects.restore"),
  ...(["GET", "POST", "PUT", "PATCH", "DELETE"] as const).flatMap((method) => [
    notServed(method, `${BUCKET}/acl`, "storage.bucketAccessControls"),
    notServed(method, `${BUCKET}/iam`, "storage.buckets.iamPolicy"),
    notServed(method, `${BUCKET}/notificationConfigs`, "storage.notifications"),
    notServed(method, `${OBJECT}/acl`, "storage.objectAccessControls"),
  ]),

  // What Go's client and plain links read by: https://cloud.google.com/storage/docs/xml-api/get-object-download
  { method: "GET", base: "", path: XML_OBJECT, id: "storage.objects.get", serve: getMedia, isXml: true },
  { method: "HEAD", base: "", path: XML_OBJECT, id: "storage.objects.get", serve: getHead, isXml: true },
]

function listNothing({ store, bucket }: ApiCall): Answer {
  store.getBucket(bucket)
  return { status: 200, json: {} }
}

/** The download path is `alt=media`, whether its query says so or not. */
function getMedia(call: ApiCall): Answer {
  return getObject({ ...call, query: { ...call.query, alt: "media" } })
}

function getHead(call: ApiCall): Answer {
  const { content, ...head } = getMedia(call)
  content?.destroy()
  return head
}

/** A POST to the address of an upload that has begun is a chunk of it: so Go's and rclone's clients send them. */
function insertOrContinue(call: ApiCall): Promise<Answer> {
  return call.query.upload_id === undefined ? insertObject(call) : continueResumable(call)
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
