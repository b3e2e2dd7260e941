// Numbers as people read them. Counts and amounts may exceed 2^53 and stay bigint to the last digit.

/** `1,234,567` */
export function formatCount(count: number | bigint): string {
  return count.toLocaleString("en-US")
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** `0.42 s`, `12.3 s`, `3 min 5 s`, `2 h 7 min`, `4 d 3 h`. */
export function formatDuration(ms: number): string {
  const known = Math.max(0, ms)
  if (known < 9_995) return `${(known / SECOND_MS).toFixed(2)} s`
  if (known < 59_950) return `${(known / SECOND_MS).toFixed(1)} s`
  const seconds = Math.round(known / SECOND_MS)
  const of = (unitMs: number, limit: number) => Math.floor((seconds * SECOND_MS) / unitMs) % limit
  if (seconds * SECOND_MS < HOUR_MS) return `${of(MINUTE_MS, 60)} min ${of(SECOND_MS, 60)} s`
  if (seconds * SECOND_MS < DAY_MS) return `${of(HOUR_MS, 24)} h ${of(MINUTE_MS, 60)} min`
  return `${of(DAY_MS, Number.MAX_SAFE_INTEGER)} d ${of(HOUR_MS, 24)} h`
}

/** `1 shard`, `2 shards`. */
export function formatNumberOf(count: number, thing: string): string {
  return `${formatCount(count)} ${thing}${count === 1 ? "" : "s"}`
}
