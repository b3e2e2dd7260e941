import * as fc from "fast-check"
import { expect, test } from "vitest"
import { datesOfYesterday } from "../../services/cli/run-name.ts"
import { resolveRevenueDay } from "../../shared/day/revenue-day.ts"
import type { RunProgress } from "../../shared/ledger/runs/run-progress.ts"
import { formatAmount } from "../../shared/terminal/render-amount.ts"
import { formatCount, formatDuration } from "../../shared/terminal/render-numbers.ts"
import { openProgressLine, renderProgress } from "../../shared/terminal/render-progress.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"

const progressAt = (done: number, overrides: Partial<RunProgress> = {}): RunProgress => ({
  runId: "2026-11-22-1",
  date: "2026-11-22",
  version: 1,
  state: "running",
  dispatch: 0,
  elapsedMs: 2_500,
  dispatchPurchases: BigInt(done) * 50_000n,
  workingMs: 2_000,
  shardCount: 20,
  shards: { offered: 20 - done, claimed: 0, done, failed: 0, missing: 0 },
  purchases: BigInt(done) * 50_000n,
  tasks: 2,
  announced: false,
  ...overrides,
})

test("an amount of any size loses no digit, and has two decimals and a sign", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (amount) => {
      const text = formatAmount(amount, 2)
      expect(text).toMatch(/^-?\d{1,3}(,\d{3})*\.\d{2}$/)
      expect(BigInt(text.replace(/[,.]/g, ""))).toBe(amount)
    }),
  )
  expect(formatAmount("-5", 2)).toBe("-0.05")
  expect(formatCount(1_234_567)).toBe("1,234,567")
})

test("a duration is read in the unit that matters", () => {
  const shown = [0, 420, 9_994, 9_995, 59_949, 59_950, 185_000, 3_599_600, 7_620_000, 86_400_000 * 4 + 3_600_000 * 3]
  expect(shown.map(formatDuration)).toEqual([
    "0.00 s",
    "0.42 s",
    "9.99 s",
    "10.0 s",
    "59.9 s",
    "1 min 0 s",
    "3 min 5 s",
    "1 h 0 min",
    "2 h 7 min",
    "4 d 3 h",
  ])
})

test("a table's columns are as wide as their widest cell, numbers to the right", () => {
  const columns = [{ title: "RUN" }, { title: "ROWS", align: "right" as const }]
  expect(
    renderTable(columns, [
      ["a", "5"],
      ["bcde", "12,345"],
    ]),
  ).toEqual(["RUN     ROWS", "a          5", "bcde  12,345"])
})

test("progress says shards, tasks, purchases and their rate, and failures only when there are any", () => {
  expect(renderProgress(progressAt(12))).toBe("running 12/20 shards, 2 tasks, 600,000 purchases, 300,000/s, 2.50 s")
  const shards = { offered: 0, claimed: 1, done: 18, failed: 1, missing: 0 }
  expect(renderProgress(progressAt(18, { shards, tasks: 1 }))).toContain("18/20 shards, 1 failed, 1 task,")
})

test("on a terminal there is one live line, never wider than the terminal", () => {
  let written = ""
  const line = openProgressLine({ write: (text) => (written += text), isTTY: true, columns: 40 })
  line.show(progressAt(0))
  line.show(progressAt(10))
  line.end()
  line.end()
  expect(written.match(/\n/g)).toHaveLength(1)
  const frames = written.trimEnd().split("\r").slice(1)
  expect(frames).toHaveLength(2)
  expect(frames[1]).toContain("[##########..........] running 10/20")
  for (const frame of frames) expect(frame.replace("\u001B[K", "").length).toBeLessThan(40)
})

test("elsewhere there is a line when something has changed, at most every second, and the last one always", () => {
  let written = ""
  let now = 0
  const line = openProgressLine({ write: (text) => (written += text) }, () => now)
  line.show(progressAt(0))
  now = 5_000
  line.show(progressAt(0, { elapsedMs: 9_000 }))
  line.show(progressAt(1))
  now = 5_500
  line.show(progressAt(2))
  line.show(progressAt(3))
  line.end()
  expect(written.match(/\d+(?=\/20)/g)).toEqual(["0", "1", "3"])
})

test("yesterday in any time zone is one of the dates that are looked at", () => {
  const zones = [...Intl.supportedValuesOf("timeZone"), "Etc/GMT+12", "Etc/GMT-14"]
  const instants = fc.date({ min: new Date("2020-01-01"), max: new Date("2035-01-01"), noInvalidDate: true })
  fc.assert(
    fc.property(fc.constantFrom(...zones), instants, (zone, now) => {
      expect(datesOfYesterday(now)).toContain(resolveRevenueDay("yesterday", zone, now, now).date)
    }),
  )
})
