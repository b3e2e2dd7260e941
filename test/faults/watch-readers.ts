import { setTimeout as wait } from "node:timers/promises"
import type { Connection } from "mysql2/promise"
import { readView } from "./invariants.ts"

const PAUSE_MS = 15

/** A reader of a date's view who never stops; `stop` returns every state that was seen, in order. */
export function watchReaders(connect: () => Promise<Connection>, date: string): { stop(): Promise<string[]> } {
  const seen: string[] = []
  const stopping = new AbortController()
  const done = (async () => {
    let connection: Connection | undefined
    while (!stopping.signal.aborted) {
      try {
        connection ??= await connect()
        const state = (await readView(connection, date)).join("\n")
        if (state !== seen.at(-1)) seen.push(state)
      } catch {
        // The database is away.
        connection?.destroy()
        connection = undefined
      }
      await wait(PAUSE_MS)
    }
    connection?.destroy()
  })()
  return {
    stop: async () => {
      stopping.abort()
      await done
      return seen
    },
  }
}
