import { expect, test } from "vitest"
import { createWalk } from "../../../services/finalizer/duties/walk-list.ts"

/** A list of numbers, of which some cannot be worked on; the others leave it. */
function walkOver(items: number[], refused: Set<number>) {
  const left = new Set(items)
  const walk = createWalk<number>({
    list: async (after) => [...left].filter((item) => after === undefined || item > after).slice(0, 10),
    pageSize: 10,
    work: async (item) => {
      if (refused.has(item)) throw new Error(`${item} is held`)
      left.delete(item)
    },
  })
  return { left, walk: () => walk().then(String, (error: Error) => error.message) }
}

const count = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

test("items at the front that fail again and again keep nothing behind them waiting", async () => {
  const refused = new Set(count(1, 25))
  const { left, walk } = walkOver(count(1, 40), refused)
  for (let calls = 0; calls < 5; calls++) await walk()
  expect([...left]).toEqual(count(1, 25))
})

test("a walk in which an item failed fails until its end, also on pages where all went well", async () => {
  const refused = new Set([1])
  const { left, walk } = walkOver(count(1, 35), refused)
  const said = []
  for (let calls = 0; calls < 4; calls++) said.push(await walk())
  expect(said).toEqual(Array(4).fill("1 is held"))
  expect([...left]).toEqual([1])
  refused.clear()
  expect([await walk(), [...left]]).toEqual(["undefined", []])
})

test("a list that is longer than a page goes on with the next call, and an empty one is done", async () => {
  const { walk } = walkOver(count(1, 15), new Set())
  expect([await walk(), await walk(), await walk()]).toEqual(["more", "undefined", "undefined"])
})
