import { type Conditions, parseConditions } from "./conditions.ts"
import { ApiError, invalid } from "./errors.ts"
import { type Answer, type ApiCall, ok, readJson } from "./http.ts"
import { readMultipart } from "./multipart.ts"
import { checkObjectName } from "./names.ts"
import {
  type InsertedObject,
  type ObjectFields,
  objectResource,
  parseInsertedObject,
  type StoredObject,
} from "./object-resource.ts"
import { type ExpectedHashes, UploadFile } from "./upload-file.ts"

/** https://cloud.google.com/storage/docs/json_api/v1/objects/insert, in its three ways. */
export async function insertObject(call: ApiCall): Promise<Answer> {
  // Before the content comes, so that nobody sends it for nothing.
  call.store.getBucket(call.bucket)
  const insert = WAYS[call.query.uploadType ?? ""]
  if (!insert) throw invalid(`Invalid uploadType: '${call.query.uploadType ?? ""}'`)
  return insert(call)
}

const WAYS: Partial<Record<string, (call: ApiCall) => Promise<Answer>>> = {
  media: insertMedia,
  multipart: insertMultipart,
  resumable: startResumable,
}

async function insertMedia(call: ApiCall): Promise<Answer> {
  return receiveWhole(call, {}, call.headers["content-type"], call.body)
}

async function insertMultipart(call: ApiCall): Promise<Answer> {
  const { metadata, contentType, content } = await readMultipart(call.headers["content-type"], call.body)
  return receiveWhole(call, parseInsertedObject(metadata), contentType, content)
}

async function receiveWhole(
  call: ApiCall,
  metadata: InsertedObject,
  contentType: string | undefined,
  content: AsyncIterable<Buffer>,
): Promise<Answer> {
  const { name, conditions, hashes, fields } = describe(call, metadata, contentType)
  return UploadFile.use(call.folder, async (file) => {
    await file.receive(content)
    file.finish(expectedHashes(call))
    return answer(call, call.store.commitObject(call.bucket, name, file.finish(hashes), fields, conditions))
  })
}

async function startResumable(call: ApiCall): Promise<Answer> {
  const { bucket, headers, origin } = call
  const metadata = parseInsertedObject(await readJson(call.body))
  const { name, conditions, hashes, fields } = describe(call, metadata, oneHeader(headers["x-upload-content-type"]))
  const length = oneHeader(headers["x-upload-content-length"])
  const id = await call.uploads.start({
    bucket,
    name,
    metadata: { ...hashes, ...fields },
    conditions,
    totalBytes: length === undefined ? undefined : Number(length),
  })
  const query = new URLSearchParams({ uploadType: "resumable", name, upload_id: id })
  const location = `${origin}/upload/storage/v1/b/${bucket}/o?${query.toString()}`
  return { status: 200, headers: { location, "x-guploader-uploadid": id } }
}

/** A chunk of a resumable upload, the rest of it, or the question how far it has come. */
export async function continueResumable(call: ApiCall): Promise<Answer> {
  const id = call.query.upload_id
  const range = call.headers["content-range"]
  const progress = await call.uploads.receive(id, range, call.body, expectedHashes(call))
  if (progress.object) return answer(call, progress.object)
  const { receivedBytes } = progress
  const range308: Record<string, string> = receivedBytes > 0 ? { range: `bytes=0-${receivedBytes - 1}` } : {}
  // Some HTTP clients take a 308 for a redirect: they ask for another way to be told.
  if (!isTrue308(call)) return { status: 308, headers: range308 }
  return { status: 200, headers: { ...range308, "x-http-status-code-override": "308" } }
}

const isTrue308 = ({ headers }: ApiCall) =>
  ["yes", "true"].includes(String(headers["x-guploader-no-308"]).toLowerCase())

export async function cancelResumable(call: ApiCall): Promise<Answer> {
  await call.uploads.cancel(call.query.upload_id)
  // https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
  throw new ApiError(499, "clientClosedRequest", "The upload has been cancelled.")
}

interface Described {
  name: string
  conditions: Conditions
  hashes: ExpectedHashes
  fields: ObjectFields
}

function describe({ query, headers }: ApiCall, metadata: InsertedObject, contentType: string | undefined): Described {
  const { name: nameInBody, crc32c, md5Hash, ...rest } = metadata
  const name = query.name ?? nameInBody ?? ""
  checkObjectName(name)
  const fields: ObjectFields = { contentType: contentType ?? "application/octet-stream", ...rest }
  if (query.contentEncoding !== undefined) fields.contentEncoding = query.contentEncoding
  return { name, conditions: parseConditions(query, headers), hashes: { crc32c, md5Hash }, fields }
}

/** `X-Goog-Hash: crc32c=…,md5=…` of the request that ends the content. */
function expectedHashes({ headers }: ApiCall): ExpectedHashes {
  const header = [headers["x-goog-hash"] ?? ""].flat().join(",")
  const find = (key: string) => new RegExp(`(?:^|,)\\s*${key}=([^,\\s]+)`).exec(header)?.[1]
  return { crc32c: find("crc32c"), md5Hash: find("md5") }
}

const oneHeader = (header: string | string[] | undefined) => [header].flat()[0]

const answer = (call: ApiCall, object: StoredObject): Answer => ok(objectResource(object, call.origin))
