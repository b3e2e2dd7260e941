import { expect, test } from "vitest"
import { estimateTime } from "../../../../shared/ledger/runs/run-times.ts"

const times = [1_000, 2_000, 3_000, 4_000]

test.each([
  [
    { runs: 1, atOnce: 2 },
    { fromMs: 2_000, toMs: 4_000 },
  ],
  [
    { runs: 2, atOnce: 2 },
    { fromMs: 2_000, toMs: 4_000 },
  ],
  [
    { runs: 3, atOnce: 2 },
    { fromMs: 4_000, toMs: 8_000 },
  ],
  [
    { runs: 22, atOnce: 4 },
    { fromMs: 12_000, toMs: 24_000 },
  ],
  [
    { runs: 0, atOnce: 4 },
    { fromMs: 0, toMs: 0 },
  ],
])("%o take as many rounds as it needs, each as long as a run", (runs, expected) => {
  expect(estimateTime(times, runs)).toEqual(expected)
})

test("without a run that is complete there is nothing to estimate by", () => {
  expect(estimateTime([], { runs: 1, atOnce: 1 })).toBeUndefined()
})
