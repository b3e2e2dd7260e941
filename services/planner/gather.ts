import { setTimeout as wait } from "node:timers/promises"

/**
 * Yields what has come from a source: the first `firstCount` items together, then all since the last time, at most
 * every `intervalMs`. The source goes on while the consumer is busy, and stops when the consumer does.
 */
export async function* gather<T>(
  source: AsyncIterable<T>,
  { firstCount, intervalMs }: { firstCount: number; intervalMs: number },
): AsyncGenerator<T[]> {
  let come: T[] = []
  let isStopped = false
  const first = Promise.withResolvers<void>()
  const over = (async () => {
    for await (const item of source) {
      if (isStopped) break
      come.push(item)
      if (come.length >= firstCount) first.resolve()
    }
    return true
  })()
  const pause = () => wait(intervalMs, false, { ref: false })
  try {
    let isOver = await Promise.race([over, first.promise])
    for (;;) {
      const taken = come
      come = []
      if (taken.length > 0) yield taken
      else if (isOver) return
      isOver = await Promise.race([over, pause()])
    }
  } finally {
    isStopped = true
    // Its failure is nobody's any more.
    over.catch(() => undefined)
  }
}
