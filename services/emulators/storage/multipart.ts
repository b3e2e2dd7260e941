import { invalid } from "./errors.ts"
import { parseJson } from "./http.ts"

// The metadata part, with both parts' headers.
const PREAMBLE_BYTES_MAX = 1024 * 1024

/** An upload in one `multipart/related` request: a part with the metadata in JSON, then a part with the content. */
export interface MultipartUpload {
  metadata: unknown
  /** Of the content part, if it says one. */
  contentType: string | undefined
  /** To be read to its end; throws 400 if the closing boundary never comes. */
  content: AsyncIterable<Buffer>
}

/** https://cloud.google.com/storage/docs/uploading-objects#uploading-an-object, RFC 2046 section 5.1 */
export async function readMultipart(
  contentType: string | undefined,
  body: AsyncIterator<Buffer>,
): Promise<MultipartUpload> {
  // gcloud quotes it with single quotes, as Python writes a text.
  const boundary = /^multipart\/related\b.*;\s*boundary=(?:"([^"]+)"|'([^']+)'|([^\s;"']+))/i.exec(contentType ?? "")
  if (!boundary) throw invalid("A multipart upload needs the content type multipart/related with a boundary.")
  const mark = `--${boundary[1] ?? boundary[2] ?? boundary[3]}`
  // The first delimiter has no line break before it unless there is a preamble.
  let read: Buffer = Buffer.from("\n")

  // Lines end in CRLF, or as gcloud has them in LF alone.
  const readUntil = async (...marks: string[]): Promise<{ before: Buffer; found: string }> => {
    for (;;) {
      const places = marks.map((found) => ({ found, at: read.indexOf(found) })).filter(({ at }) => at >= 0)
      const [first] = places.toSorted((a, b) => a.at - b.at)
      if (first) {
        const before = read.subarray(0, first.at)
        read = read.subarray(first.at + first.found.length)
        return { before, found: first.found }
      }
      if (read.length > PREAMBLE_BYTES_MAX) {
        throw invalid("Metadata part is too large.")
      }
      const next = await body.next()
      if (next.done) throw invalid("Malformed multipart body: the body ends before the content part.")
      read = Buffer.concat([read, next.value])
    }
  }

  await readUntil(`\n${mark}`)
  await readUntil("\r\n\r\n", "\n\n")
  const metadata = parseJson((await readUntil(`\n${mark}`)).before)
  const { before, found } = await readUntil("\r\n\r\n", "\n\n")
  const headers = before.toString("latin1")
  // How the headers' lines end is how the content's last one does.
  const delimiter = `${found === "\n\n" ? "\n" : "\r\n"}${mark}`
  return {
    metadata,
    contentType: /^content-type:[ \t]*(.+?)[ \t]*$/im.exec(headers)?.[1],
    content: readToDelimiter(read, body, delimiter),
  }
}

async function* readToDelimiter(first: Buffer, body: AsyncIterator<Buffer>, delimiter: string) {
  for (let held = first; ; ) {
    const at = held.indexOf(delimiter)
    // All but what may be the start of a delimiter that the next chunk completes.
    const end = at >= 0 ? at : Math.max(held.length - delimiter.length + 1, 0)
    if (end > 0) yield held.subarray(0, end)
    if (at >= 0) break
    const next = await body.next()
    if (next.done) throw invalid("Malformed multipart body: the closing boundary is missing.")
    held = Buffer.concat([held.subarray(end), next.value])
  }
  // What follows the delimiter is no content, but must be taken for the connection to live on.
  while (!(await body.next()).done);
}
