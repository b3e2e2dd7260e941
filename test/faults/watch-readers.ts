import { setTimeout as wait } from "node:timers/promises"
import type { Connection } from "mysql2/promise"
import { readView } from "./invariants.ts"

const PAUSE_MS = 15

/** A reader of a date's view who never stops; `stop` returns every state that was seen, in order. */
export function watchReaders(connection: Connection, date: string): { stop(): Promise<string[]> } {
  const seen: string[] = []
  const stopping = new AbortController()
  const done = (async () => {
    while (!stopping.signal.aborted) {
      // The database may be away.
      const rows = await readView(connection, date).catch(() => undefined)
      const state = rows?.join("\n")
      if (state !== undefined && state !== seen.at(-1)) seen.push(state)
      await wait(PAUSE_MS)
    }
  })()
  return {
    stop: async () => {
      stopping.abort()
      await done
      return seen
    },
  }
}
