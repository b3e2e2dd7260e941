import type { ServerResponse } from "node:http"
import type { Fault } from "../faults.ts"
import type { Answer, StorageRequest } from "./http.ts"

/** Breaks the connection of the next `times` downloads after so many bytes of the content, which may be none: the headers arrive. */
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

/** Sends an answer that says its full length, and breaks the connection when so many bytes of it have left. */
export async function sendTruncated(response: ServerResponse, answer: Answer, bytes: number): Promise<void> {
  response.writeHead(answer.status, answer.headers)
  response.flushHeaders()
  let left = bytes
  for await (const chunk of answer.content ?? []) {
    const part = (chunk as Buffer).subarray(0, left)
    left -= part.length
    await new Promise((written) => response.write(part, written))
    if (left === 0) break
  }
  response.destroy()
}
