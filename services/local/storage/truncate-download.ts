import type { Fault } from "../faults.ts"
import type { StorageRequest } from "./http.ts"

/** Breaks the connection of the next `times` downloads after so many bytes of the content, which may be none. */
export function truncateDownload(match: { resource?: string }, bytes: number, times = 1): Fault {
  let left = times
  return {
    matches: ({ method, resource, request }) =>
      method === "storage.objects.get" &&
      (request as StorageRequest).query.alt === "media" &&
      (match.resource === undefined || match.resource === resource) &&
      left-- > 0,
    before: ({ request }) => {
      ;(request as StorageRequest).truncateAtBytes = bytes
    },
  }
}
