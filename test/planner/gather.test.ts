import { setTimeout as wait } from "node:timers/promises"
import { expect, test } from "vitest"
import { gather } from "../../services/planner/gather.ts"

const options = { firstCount: 3, intervalMs: 20 }

async function* count(to: number, pauseMs = 0): AsyncGenerator<number> {
  for (let n = 1; n <= to; n++) {
    yield n
    if (pauseMs > 0) await wait(pauseMs)
  }
}

test("the first come together, and then all that came meanwhile, in their order", async () => {
  const batches = await Array.fromAsync(gather(count(40, 3), options))
  expect(batches.flat()).toEqual(Array.from({ length: 40 }, (_, n) => n + 1))
  expect(batches[0]).toEqual([1, 2, 3])
  expect(batches.length).toBeLessThan(30)
})

test("a source that ends early is yielded as it is, an empty one not at all", async () => {
  expect(await Array.fromAsync(gather(count(2), options))).toEqual([[1, 2]])
  expect(await Array.fromAsync(gather(count(0), options))).toEqual([])
})

test("the source goes on while the consumer is busy, and stops when the consumer does", async () => {
  let made = 0
  async function* endless() {
    for (;;) {
      yield made++
      await wait(1)
    }
  }
  for await (const batch of gather(endless(), options)) {
    const before = made
    await wait(30)
    expect(made).toBeGreaterThan(before)
    if (batch.length > 0 && made > 20) break
  }
  await wait(10)
  const stopped = made
  await wait(30)
  expect(made).toBe(stopped)
})

test("what fails in the source fails in the consumer", async () => {
  async function* failing() {
    yield 1
    await wait(1)
    throw new Error("the source is gone")
  }
  await expect(Array.fromAsync(gather(failing(), options))).rejects.toThrow("the source is gone")
})
