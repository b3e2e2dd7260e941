import { describe, expect, test } from "vitest"
import { formatRequest } from "../../../shared/messages/format-request.ts"
import { readRequest, requestTexts } from "../../../shared/messages/person-requests.ts"

const cases: [fields: Record<string, string>, topic: string, message: object][] = [
  [{ do: "start", date: "2026-11-22" }, "run-requests", { date: "2026-11-22" }],
  [{ do: "start", date: "yesterday" }, "run-requests", { date: "yesterday" }],
  [{ do: "rerun", run: "2026-11-22-17" }, "rerun-requests", { runId: "2026-11-22-17", shards: [] }],
  [{ do: "rerun", run: "2026-11-22", shards: "3, 7" }, "rerun-requests", { date: "2026-11-22", shards: [3, 7] }],
  [{ do: "release", run: "2026-11-22" }, "release-requests", { date: "2026-11-22" }],
  [{ do: "cancel", run: "2026-11-22-17" }, "cancel-requests", { runId: "2026-11-22-17" }],
  [{ do: "cancel", backfill: "1795" }, "cancel-requests", { backfillId: "1795" }],
  [{ do: "pause" }, "pause-requests", { paused: true }],
  [
    { do: "pause", backfill: "1795", until: "2026-11-22T18:00:00Z" },
    "pause-requests",
    { paused: true, backfillId: "1795", until: "2026-11-22T18:00:00Z" },
  ],
  [{ do: "resume" }, "pause-requests", { paused: false }],
  [{ do: "resume", backfill: "1795" }, "pause-requests", { paused: false, backfillId: "1795" }],
  [
    { do: "backfill", from: "2026-11-01", to: "2026-11-22" },
    "backfill-requests",
    { from: "2026-11-01", to: "2026-11-22", which: "missing", order: "newest-first", runsAtOnce: 2 },
  ],
  [
    { do: "backfill", from: "2026-11-22", to: "2026-11-22", which: "all", order: "oldest-first", runsAtOnce: "100" },
    "backfill-requests",
    { from: "2026-11-22", to: "2026-11-22", which: "all", order: "oldest-first", runsAtOnce: 100 },
  ],
  [{ do: "audit", from: "yesterday", to: "yesterday" }, "audit-requests", { date: "yesterday" }],
  [{ do: "audit", from: "2026-11-01", to: "2026-11-22" }, "audit-requests", { from: "2026-11-01", to: "2026-11-22" }],
]

describe("what is typed or sent by a form is a message of its topic, and can be shown and sent again", () => {
  test.each(cases)("%j", (fields, topic, message) => {
    const request = readRequest(fields)
    if (!request) throw new Error("it is no request")
    const sent = formatRequest(request)
    expect(sent.topic).toBe(topic)
    expect(JSON.parse(sent.data)).toEqual(message)
    expect(readRequest(requestTexts(request))).toEqual(request)
  })
})

describe("what is wrong is said with the field's name", () => {
  test.each<[Record<string, unknown>, string]>([
    [{ do: "start", date: "22.11.2026" }, 'date: is neither of the form YYYY-MM-DD nor "yesterday"'],
    [{ do: "start", date: 20261122 }, "date: "],
    [{ do: "start" }, "date: "],
    [{ do: "drop" }, "do: "],
    [{ do: "cancel" }, "run: "],
    [{ do: "cancel", backfill: "../x" }, "backfill: is not a backfill's id"],
    [{ do: "release", run: "2026-11-22-a b" }, "run: is neither a date of the form YYYY-MM-DD nor a run's id"],
    [{ do: "rerun", run: "2026-11-22", shards: "3,x" }, "shards.1: is not a whole number from 0 to 2147483647"],
    [{ do: "rerun", run: "2026-11-22", shards: "1,".repeat(10_000) }, "shards: names more than 10000 shards"],
    [{ do: "pause", until: "six" }, "until: is not a time such as 2026-11-22T18:00:00Z"],
    [{ do: "backfill", from: "2026-11-22", to: "yesterday" }, "to: is not of the form YYYY-MM-DD"],
    [{ do: "backfill", from: "2026-11-22", to: "2026-11-01" }, "the first date, 2026-11-22, is after the last"],
    [{ do: "backfill", from: "2026-11-22", to: "2026-11-22", runsAtOnce: "0" }, "runsAtOnce: is not a whole number"],
    [{ do: "backfill", from: "2026-11-22", to: "2026-11-22", runsAtOnce: "101" }, "runsAtOnce: is not a whole number"],
    [{ do: "backfill", from: "2026-11-22", to: "2026-11-22", which: "some" }, "which: "],
  ])("%j", (fields, sentence) => {
    expect(() => readRequest(fields)).toThrow(sentence)
  })
})

test("fields that name nothing to do request nothing", () => {
  expect(readRequest({ day: "2026-11-22" })).toBeUndefined()
  expect(readRequest({ do: "" })).toBeUndefined()
})
