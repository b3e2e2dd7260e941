import { closeSync, createReadStream } from "node:fs"
import { parseByteRange } from "./byte-range.ts"
import type { Answer, ApiCall } from "./http.ts"
import { entityTag, type StoredObject } from "./object-resource.ts"

/** The content of an object: https://cloud.google.com/storage/docs/json_api/v1/objects/get with `alt=media`. */
export function downloadObject({ store, headers }: ApiCall, object: StoredObject): Answer {
  const { descriptor, sizeBytes } = store.openObject(object)
  try {
    const range = parseByteRange(headers.range, sizeBytes)
    const { start, end } = range ?? { start: 0, end: sizeBytes - 1 }
    return {
      status: range ? 206 : 200,
      headers: {
        ...objectHeaders(object),
        "content-length": String(end - start + 1),
        ...(range && { "content-range": `bytes ${start}-${end}/${sizeBytes}` }),
      },
      // An end before the start is no range to createReadStream: of an empty file it reads nothing anyway.
      content: createReadStream("", { fd: descriptor, start, end: Math.max(end, start) }),
    }
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

/** https://cloud.google.com/storage/docs/xml-api/reference-headers; the hashes are those of the whole, also for a range. */
function objectHeaders(object: StoredObject): Record<string, string> {
  const { fields } = object
  const optional = {
    "content-encoding": fields.contentEncoding,
    "content-disposition": fields.contentDisposition,
    "content-language": fields.contentLanguage,
  }
  return {
    "accept-ranges": "bytes",
    "content-type": fields.contentType ?? "application/octet-stream",
    "cache-control": fields.cacheControl ?? "no-cache, no-store, max-age=0, must-revalidate",
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >),
    etag: entityTag(object),
    "last-modified": new Date(object.updatedAt).toUTCString(),
    "x-goog-generation": object.generation,
    "x-goog-metageneration": String(object.metageneration),
    "x-goog-storage-class": fields.storageClass ?? "STANDARD",
    "x-goog-hash": `crc32c=${object.crc32c},md5=${object.md5Hash}`,
    "x-goog-stored-content-encoding": fields.contentEncoding ?? "identity",
    "x-goog-stored-content-length": String(object.sizeBytes),
  }
}
