import type { FaultCloud } from "./fault-cloud.ts"
import { digestDates, findFaults, readShop, readView } from "./invariants.ts"
import { type CaseKind, tally } from "./tally.ts"
import { watchReaders } from "./watch-readers.ts"

export interface Case {
  kind: CaseKind
  name: string
  /** The date whose run it is; no other date may change. */
  date: string
  /** Takes the run to its last verdict. */
  play: () => Promise<void>
  /** Whether the newest run must be complete in the end, which it is by default. */
  complete?: boolean
  /** The database went back in time: what was told of before that, it does not know. */
  wentBack?: boolean
  /** States that readers may see besides the ones before and after. */
  also?: () => string[]
}

/** Plays a case, checks every invariant after it, and returns what is wrong. */
export async function playCase(
  cloud: FaultCloud,
  { kind, name, date, play, complete = true, wentBack = false, also }: Case,
) {
  const startedAt = performance.now()
  const before = await readView(cloud.connection, date)
  const others = await digestDates(cloud.connection)
  others.delete(date)
  await cloud.findPanics()
  const readers = watchReaders(cloud.connect, date)
  const faults: string[] = []
  try {
    await play()
    await cloud.relay.idle()
    await cloud.waitUntilIdle()
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error))
  }
  const seen = await readers.stop()
  const expected = complete ? await readShop(cloud.connection, date) : before
  faults.push(...(await findFaults(cloud.evidence(), date, { rows: expected, complete, wentBack })))
  const allowed = new Set([before.join("\n"), expected.join("\n"), ...(also?.() ?? [])])
  if (seen.some((state) => !allowed.has(state)))
    faults.push("wrong rows: a reader saw neither the old day nor the new one")
  const now = await digestDates(cloud.connection)
  now.delete(date)
  for (const [other, digest] of others) {
    if (now.get(other) !== digest) faults.push(`wrong rows: ${other} was changed by a run of ${date}`)
  }
  if (now.size !== others.size) faults.push("wrong rows: another date appeared")
  const orphans = cloud.orphans()
  if (orphans.length > 0) faults.push(`left over: processes ${orphans.join(", ")}`)
  if (cloud.deadLetters() > 0) faults.push(`stuck run: ${cloud.deadLetters()} dead letters`)
  faults.push(...(await cloud.findPanics()).map((line) => `a panic: ${line.slice(0, 300)}`))
  tally({ kind, name, faults, seconds: (performance.now() - startedAt) / 1000 })
  return faults.map((fault) => `${name}: ${fault}`)
}
