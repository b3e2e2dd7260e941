import { getPolicy, setPolicy, testPermissions } from "./bucket-policy.ts"
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
import { ApiError, notImplemented } from "./errors.ts"
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
const XML_BUCKET = "/:bucket(^(?!storage$|upload$|download$|resumable$|batch$|healthz$)[a-z0-9][a-z0-9._-]+[a-z0-9]$)"
const XML_OBJECT = `${XML_BUCKET}/*`
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const
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

  { method: "GET", base: "", path: `${BUCKET}/iam`, id: "storage.buckets.getIamPolicy", serve: getPolicy },
  { method: "PUT", base: "", path: `${BUCKET}/iam`, id: "storage.buckets.setIamPolicy", serve: setPolicy },
  {
    method: "GET",
    base: "",
    path: `${BUCKET}/iam/testPermissions`,
    id: "storage.buckets.testIamPermissions",
    serve: testPermissions,
  },

  // Access control lists, notifications, folders, holds, keys and whatever else is the API's and not above.
  ...METHODS.flatMap((method) => [`${BUCKET}/*`, "/projects/*", "/channels/*"].map((path) => notServed(method, path))),
  { ...notServed("POST", "/batch"), isXml: true },
  { ...notServed("POST", "/batch/storage/v1"), isXml: true },

  // What Go's client and plain links read by: https://cloud.google.com/storage/docs/xml-api/get-object-download
  { method: "GET", base: "", path: XML_OBJECT, id: "storage.objects.get", serve: getMedia, isXml: true },
  { method: "HEAD", base: "", path: XML_OBJECT, id: "storage.objects.get", serve: getHead, isXml: true },
  { method: "DELETE", base: "", path: XML_OBJECT, id: "storage.objects.delete", serve: deleteObject, isXml: true },
  ...(["POST", "PUT"] as const).map((method): Route => ({ ...notServed(method, XML_OBJECT), isXml: true })),
  ...METHODS.map((method): Route => ({ ...notServed(method, XML_BUCKET), isXml: true })),
]

function listNothing({ store, bucket }: ApiCall): Answer {
  store.getBucket(bucket)
  return { status: 200, json: {} }
}

/** The download path is `alt=media`, whether its query says so or not. */
function getMedia(call: ApiCall): Answer {
  // A list of the bucket, by its name with a slash.
  if (call.object === "") throw notImplemented("Listing by the XML API")
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

function notServed(method: Route["method"], path: string): Route {
  return {
    method,
    base: "",
    path,
    id: `${method} ${path}`,
    serve: ({ address, store, bucket }) => {
      // What is no bucket's address either may be anything.
      if (method === "GET" && path === XML_BUCKET) store.getBucket(bucket)
      // An object's name with a slash that is not encoded is nothing of the API's.
      if (/^(\/storage\/v1)?\/b\/[^/]+\/o\/(?!(bulkRestore|watch)$)[^/]+\/(?!acl|iam|restore)/.test(address)) {
        throw new ApiError(404, "notFound", "Not Found")
      }
      throw notImplemented(`${method} ${address}`)
    },
  }
}
