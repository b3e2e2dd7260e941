import { ApiError } from "./errors.ts"

/** Bytes `start` to `end`, both inclusive, of content of some size. */
export interface ByteRange {
  start: number
  end: number
}

/**
 * The range that a `Range` header asks for (RFC 9110 section 14.2), or undefined for the whole content: without a header,
 * and, as the RFC allows, for several ranges and for what is no byte range. Throws 416 if no byte is in the range.
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "")
  if (!match || (match[1] === "" && match[2] === "")) return undefined
  const [first, last] = [match[1], match[2]].map((text) => (text === "" ? undefined : Number(text)))
  if (first !== undefined && last !== undefined && last < first) return undefined
  const start = first ?? Math.max(sizeBytes - last!, 0)
  const end = first === undefined ? sizeBytes - 1 : Math.min(last ?? Infinity, sizeBytes - 1)
  if (start > end) {
    throw new ApiError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable", {
      location: { locationType: "header", location: "Range" },
    })
  }
  return { start, end }
}
