import { create } from "@bufbuild/protobuf"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { formatJson, MalformedError, parseDocument, parseJson } from "../../schemas/json.ts"
import { RerunRequestSchema } from "../../schemas/messages/rerun_request_pb.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { ShardReportSchema } from "../../schemas/messages/shard_report_pb.ts"
import { WorkItemSchema } from "../../schemas/messages/work_item_pb.ts"

describe("a message that does not fit its schema is refused with the name of the field", () => {
  test.each([
    [RunRequestSchema, "", "RunRequest: empty; expected a JSON object"],
    [RunRequestSchema, "2026-11-22", "RunRequest: not JSON"],
    [RunRequestSchema, '\uFEFF{"date":"2026-11-22"}', "RunRequest: begins with a byte order mark"],
    [RunRequestSchema, '{"date":', "RunRequest: not JSON"],
    [RunRequestSchema, "[]", "RunRequest"],
    [RunRequestSchema, "null", "RunRequest"],
    [RunRequestSchema, "{}", "RunRequest.date: missing"],
    [RunRequestSchema, '{"date":null}', "RunRequest.date: missing"],
    [RunRequestSchema, '{"date":5}', "RunRequest.date: expected string, got 5"],
    [RunRequestSchema, '{"day":"2026-11-22"}', "RunRequest.day: unknown field"],
    [RunRequestSchema, '{"date":"2026-11-22","force":true}', "RunRequest.force: unknown field"],
    [RerunRequestSchema, '{"shards":[1]}', "RerunRequest: missing: one of runId, date"],
    [RerunRequestSchema, '{"runId":"a","date":"b"}', "RerunRequest"],
    [RerunRequestSchema, '{"runId":"a","shards":3}', "RerunRequest.shards: expected Array, got 3"],
    [RerunRequestSchema, '{"runId":"a","shards":[1.5]}', "RerunRequest.shards: list item #1"],
    [WorkItemSchema, '{"runId":"a","dispatch":0,"date":"x"}', "WorkItem.index: missing"],
    [WorkItemSchema, '{"runId":"a","dispatch":0,"index":0,"date":"x","from":"9223372036854775808"}', "WorkItem.from"],
    [ShardReportSchema, '{"runId":"a","dispatch":0,"index":0,"epoch":"x","outcome":"done"}', "ShardReport.epoch"],
    [PlanSchema, '{"runId":"a","shards":[{"from":"1","til":"2"}]}', "Plan.Range.til: unknown field"],
  ])("%o %s", (schema, text, fault) => {
    expect(() => parseJson(schema, text)).toThrow(MalformedError)
    expect(() => parseJson(schema, text)).toThrow(fault)
  })
})

test("a document that a newer version wrote is read without its new fields; what is missing is still missing", () => {
  const text = formatJson(PlanSchema, { runId: "a", shards: [{ from: "1" }] })
  const newer = JSON.stringify({ ...JSON.parse(text), shape: { new: true }, shards: [{ from: "1", colour: "red" }] })
  expect(parseDocument(PlanSchema, newer)).toEqual(parseJson(PlanSchema, text))
  expect(() => parseDocument(PlanSchema, '{"shape":1}')).toThrow("Plan.runId: missing")
})

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

test("what is written is read back unchanged, to the last digit of 64 bits", () => {
  fc.assert(
    fc.property(
      fc.record(
        {
          runId: fc.string({ unit: "binary" }),
          dispatch: fc.nat(),
          index: fc.nat(),
          date: fc.string(),
          from: int64,
          to: int64,
        },
        { requiredKeys: ["runId", "dispatch", "index", "date"] },
      ),
      (item) => {
        expect(parseJson(WorkItemSchema, formatJson(WorkItemSchema, item))).toEqual(create(WorkItemSchema, item))
      },
    ),
  )
})

test("64-bit integers travel as strings, and zero is written out", () => {
  const text = formatJson(WorkItemSchema, { runId: "r", dispatch: 0, index: 0, date: "d", to: 2n ** 63n - 1n })
  expect(JSON.parse(text)).toEqual({ runId: "r", dispatch: 0, index: 0, date: "d", to: "9223372036854775807" })
})
