import { invalid } from "./errors.ts"

/** What a request of a resumable upload says of the bytes it carries. */
export interface ContentRange {
  /** Without one, the request carries nothing and asks how far the upload has come. */
  firstByte: number | undefined
  /** Inclusive. */
  lastByte: number | undefined
  totalBytes: number | undefined
  /** Whatever the body carries is all there is, so that its end is the end of the object. */
  isOpenEnded: boolean
}

// `bytes 0-524287/*`, `bytes 0-99/100`, `bytes 0-*/*` (all that follows), `bytes */100` and `bytes */*` (a question), or
// no header: the whole object.
export function parseContentRange(header: string | undefined): ContentRange {
  if (header === undefined) return { firstByte: 0, lastByte: undefined, totalBytes: undefined, isOpenEnded: true }
  const match = /^bytes (?:(\d+)-(\d+|\*)|\*)\/(\d+|\*)$/.exec(header)
  if (!match) throw invalid(`Invalid Content-Range: '${header}'`)
  const range = { firstByte: parseBytes(match[1]), lastByte: parseBytes(match[2]), totalBytes: parseBytes(match[3]) }
  const { firstByte, lastByte, totalBytes } = range
  if (lastByte !== undefined && (lastByte < firstByte! || lastByte >= (totalBytes ?? Infinity))) {
    throw invalid(`Invalid Content-Range: '${header}'`)
  }
  return { ...range, isOpenEnded: firstByte !== undefined && lastByte === undefined }
}

const parseBytes = (text: string | undefined) => (text === undefined || text === "*" ? undefined : Number(text))
