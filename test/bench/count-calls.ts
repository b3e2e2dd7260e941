import type { Call, Faults } from "../../services/emulators/faults.ts"
import type { Room } from "./fixture.ts"

export interface CallCounts {
  /** By server and method: `pubsub.Publish`. */
  calls: Record<string, number>
  /** Deltas of the database's own counters. */
  database: Record<DatabaseCounter, number>
}

// Questions: statements of clients. Connections: attempts to connect. Bytes are seen from the server.
const databaseCounters = ["Questions", "Connections", "Bytes_received", "Bytes_sent"] as const
type DatabaseCounter = (typeof databaseCounters)[number]

/** Counts every call to the local cloud and every statement while `work` goes on. */
export async function countCalls<T>(room: Room, work: () => Promise<T>): Promise<[T, CallCounts]> {
  const calls: Record<string, number> = {}
  const watch = ({ server, method }: Call): void => {
    const name = `${server}.${method}`
    calls[name] = (calls[name] ?? 0) + 1
  }
  const servers: Faults[] = [room.cloud.pubsub.faults, room.cloud.storage.faults, room.cloud.runJobs.faults]
  const stops = servers.map((faults) => faults.add({ matches: () => true, before: watch }))
  try {
    const before = await readStatus(room, databaseCounters)
    const result = await work()
    const after = await readStatus(room, databaseCounters)
    return [result, { calls, database: difference(before, after) }]
  } finally {
    for (const stop of stops) stop()
  }
}

/** Counters of SHOW GLOBAL STATUS. */
export async function readStatus<Name extends string>(
  room: Room,
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const list = names.map((name) => `'${name}'`).join(", ")
  const rows = await room.query<{ Variable_name: string; Value: string }>(
    `SHOW GLOBAL STATUS WHERE Variable_name IN (${list})`,
  )
  return Object.fromEntries(rows.map((row) => [row.Variable_name, Number(row.Value)])) as Record<Name, number>
}

export function difference<Name extends string>(
  before: Record<Name, number>,
  after: Record<Name, number>,
): Record<Name, number> {
  const names = Object.keys(after) as Name[]
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as Record<Name, number>
}
