import { invalid } from "./errors.ts"

const OBJECT_NAME_BYTES_MAX = 1024
// Of Linux and macOS file systems: a longer segment of a name cannot be a file's name.
const FILE_NAME_BYTES_MAX = 255

/** https://cloud.google.com/storage/docs/objects#naming */
export function checkObjectName(name: string): void {
  if (name === "") throw invalid("Required parameter: name")
  if (Buffer.byteLength(name) > OBJECT_NAME_BYTES_MAX) {
    throw invalid("The specified object name is too long: at most 1024 bytes of UTF-8.")
  }
  if (!name.isWellFormed()) throw invalid("Object names must be valid Unicode.")
  if (/[\r\n]/.test(name)) throw invalid("Disallowed unicode characters present in object name: CR or LF.")
  if (name === "." || name === ".." || name.startsWith(".well-known/acme-challenge/")) {
    throw invalid(`Invalid object name: '${name}'`)
  }
}

/** https://cloud.google.com/storage/docs/buckets#naming */
export function checkBucketName(name: string): void {
  const parts = name.split(".")
  const good =
    name.length >= 3 &&
    name.length <= (parts.length > 1 ? 222 : 63) &&
    parts.every((part) => part.length <= 63 && /^[a-z0-9_-]+$/.test(part)) &&
    /^[a-z0-9].*[a-z0-9]$/.test(name) &&
    !/^\d+\.\d+\.\d+\.\d+$/.test(name) &&
    !name.startsWith("goog") &&
    !/google|g00gle/.test(name)
  if (!good) throw invalid(`Invalid bucket name: '${name}'`)
}

/** Whether a name can be a relative path as it stands: no empty, dot or overlong segment. */
export function isPlainPath(name: string): boolean {
  return (
    !name.includes("\0") &&
    name
      .split("/")
      .every((part) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= FILE_NAME_BYTES_MAX)
  )
}

/** A boolean parameter, in whatever case a client writes it. */
export const isTrue = (text: string | undefined) => text?.toLowerCase() === "true"

/** Cloud Storage lists names by their UTF-8 bytes, which is the order of code points and not JavaScript's of UTF-16 units. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
