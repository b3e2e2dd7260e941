import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"

/** The fingerprint of one version of a resource. */
export function etagOf(uid: string, version: number): string {
  return `"${uid.slice(0, 8)}-${version}"`
}

/** ABORTED if the caller names a version of the resource and it is not the present one. */
export function checkEtag(present: string, expected: string | null | undefined): void {
  if (!expected || expected === present) return
  throw new StatusError(status.ABORTED, `Conflict: the resource has etag ${present}, the request wants ${expected}`)
}
