import { ApiError } from "./errors.ts"

/*
 * Signed URLs are served without a look at their signature, as everything is; but only in the time that they are signed
 * for: https://cloud.google.com/storage/docs/authentication/signatures, and signatures-manual of version 2.
 */

export function checkSignedTime(query: Record<string, string | undefined>, nowMs: number): void {
  const signedAt = query["X-Goog-Signature"] === undefined ? undefined : readDate(query["X-Goog-Date"])
  if (signedAt !== undefined) {
    if (nowMs < signedAt) throw new ApiError(403, "forbidden", "The signed URL is not valid yet.")
    if (nowMs >= signedAt + Number(query["X-Goog-Expires"] ?? 0) * 1000) throw expired()
  }
  const isVersion2 = query["Signature"] !== undefined && query["Expires"] !== undefined
  if (isVersion2 && nowMs >= Number(query["Expires"]) * 1000) throw expired()
}

const expired = () => new ApiError(400, "expired", "The provided token has expired.")

/** `20261130T120000Z` */
function readDate(text: string | undefined): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? "")
  if (!parts) throw new ApiError(400, "invalid", `Invalid value for X-Goog-Date: '${text ?? ""}'`)
  const [, year, month, day, hour, minute, second] = parts
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
}
