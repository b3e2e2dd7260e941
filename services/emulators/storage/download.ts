import { closeSync, createReadStream } from "node:fs"
import { createGunzip } from "node:zlib"
import { parseByteRange } from "./byte-range.ts"
import type { Answer, ApiCall } from "./http.ts"
import { entityTag, type StoredObject } from "./object-resource.ts"

/** The content of an object: https://cloud.google.com/storage/docs/json_api/v1/objects/get with `alt=media`. */
export function downloadObject({ store, headers }: ApiCall, object: StoredObject): Answer {
  const { descriptor, sizeBytes } = store.openObject(object)
  try {
    if (isDecompressed(object, headers["accept-encoding"])) return decompress(object, descriptor)
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

/** https://cloud.google.com/storage/docs/transcoding#decompressive_transcoding */
function isDecompressed({ fields }: StoredObject, accepted: string | string[] | undefined): boolean {
  if (fields.contentEncoding !== "gzip" || /\bno-transform\b/.test(fields.cacheControl ?? "")) return false
  return !/\bgzip\b/.test(String(accepted ?? ""))
}

/** All of it, whatever range was asked for: nobody knows where in the compressed content that is. */
function decompress(object: StoredObject, descriptor: number): Answer {
  const { "content-encoding": _, ...rest } = objectHeaders(object)
  const source = createReadStream("", { fd: descriptor })
  const content = createGunzip()
  source.on("error", (error) => content.destroy(error)).pipe(content)
  content.on("close", () => source.destroy())
  return { status: 200, headers: { ...rest, warning: '214 UploadServer "gunzipped"' }, content }
}

/** https://cloud.google.com/storage/docs/xml-api/reference-headers; the hashes are those of the whole, also for a range. */
function objectHeaders(object: StoredObject): Record<string, string> {
  const { fields } = object
  const optional = {
    "content-encoding": fields.contentEncoding,
    "content-disposition": fields.contentDisposition,
    "content-language": fields.contentLanguage,
  }
  const custom = Object.entries(fields.metadata ?? {}).filter(
    ([key, value]) => /^[\w-]+$/.test(key) && /^[\x20-\x7e]*$/.test(value),
  )
  return {
    "accept-ranges": "bytes",
    "content-type": fields.contentType ?? "application/octet-stream",
    "cache-control": fields.cacheControl ?? "no-cache, no-store, max-age=0, must-revalidate",
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >),
    ...Object.fromEntries(custom.map(([key, value]) => [`x-goog-meta-${key.toLowerCase()}`, value])),
    etag: entityTag(object),
    "last-modified": new Date(object.updatedAt).toUTCString(),
    "x-goog-generation": object.generation,
    "x-goog-metageneration": String(object.metageneration),
    "x-goog-storage-class": fields.storageClass ?? "STANDARD",
    "x-goog-hash": `crc32c=${object.crc32c}${object.md5Hash === undefined ? "" : `,md5=${object.md5Hash}`}`,
    "x-goog-stored-content-encoding": fields.contentEncoding ?? "identity",
    "x-goog-stored-content-length": String(object.sizeBytes),
  }
}
