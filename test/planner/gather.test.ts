import { setImmediate as turn } from "node:timers/promises"
import { expect, test, vi } from "vitest"
import { gather } from "../../services/planner/gather.ts"

const options = { firstCount: 3, intervalMs: 1 }
const soon = { timeout: 10_000, interval: 1 }

/** A source that gives others their turn between any two items, and tells how far it is and when it was stopped. */
function startSource(to = Number.POSITIVE_INFINITY) {
  const source = { made: 0, isStopped: false, items: make() }
  async function* make(): AsyncGenerator<number> {
    try {
      while (source.made < to) {
        yield ++source.made
        await turn()
      }
    } finally {
      source.isStopped = true
    }
  }
  return source
}

test("the first come together, and then all that came meanwhile, in their order", async () => {
  const source = startSource(40)
  const batches: number[][] = []
  for await (const batch of gather(source.items, options)) {
    batches.push(batch)
    await vi.waitFor(() => expect(source.made).toBe(40), soon)
  }
  expect(batches).toEqual([[1, 2, 3], Array.from({ length: 37 }, (_, n) => n + 4)])
})

test("a source that ends early is yielded as it is, an empty one not at all", async () => {
  expect(await Array.fromAsync(gather(startSource(2).items, options))).toEqual([[1, 2]])
  expect(await Array.fromAsync(gather(startSource(0).items, options))).toEqual([])
})

test("the source goes on while the consumer is busy, and stops when the consumer does", async () => {
  const source = startSource()
  let batches = 0
  for await (const batch of gather(source.items, options)) {
    const last = batch.at(-1) ?? 0
    await vi.waitFor(() => expect(source.made).toBeGreaterThan(last + 10), soon)
    if (++batches === 3) break
  }
  await vi.waitFor(() => expect(source.isStopped).toBe(true), soon)
})

test("what fails in the source fails in the consumer", async () => {
  async function* failing() {
    yield 1
    await turn()
    throw new Error("the source is gone")
  }
  await expect(Array.fromAsync(gather(failing(), options))).rejects.toThrow("the source is gone")
})
