import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { expect, test } from "vitest"
import { plainShop } from "../../../schemas/database/shop.ts"
import { VerdictSchema } from "../../../schemas/documents/verdict_pb.ts"
import { formatJson } from "../../../schemas/json.ts"
import { RunVerdictSchema } from "../../../schemas/messages/run_verdict_pb.ts"
import { composeMessage } from "../../../services/finalizer/verdict/compose-verdict.ts"

const totals = { rows: 3n, purchases: 7n, amountCents: "99999999999999999999" }

const decided: MessageInitShape<typeof VerdictSchema> = {
  verdict: "complete",
  runId: "2026-11-22-1",
  date: "2026-11-22",
  version: 1,
  dispatch: 0,
  requestId: "1",
  decidedAt: "2026-11-23T00:10:00.000Z",
  shards: 4,
  manifests: totals,
  revenue: totals,
  source: { purchases: 7n, amountCents: "99999999999999999999" },
  guests: { purchases: 0n, amountCents: "0" },
}

/** The message as it is sent. */
const send = (verdict: MessageInitShape<typeof VerdictSchema>, document?: string) =>
  JSON.parse(
    formatJson(RunVerdictSchema, composeMessage(plainShop, create(VerdictSchema, verdict), document)),
  ) as unknown

const sent = {
  verdict: "complete",
  runId: "2026-11-22-1",
  date: "2026-11-22",
  version: 1,
  dispatch: 0,
  requestId: "1",
  decidedAt: "2026-11-23T00:10:00.000Z",
  shards: 4,
  rows: "3",
  purchases: "7",
  amountCents: "99999999999999999999",
  guestPurchases: "0",
  guestAmountCents: "0",
  missing: [],
  failed: [],
  corrupt: [],
  drifted: [],
}

test("the message of a verdict says what its document does, and where that is", () => {
  expect(send(decided)).toEqual(sent)
  const asked = { askedBy: "ada", via: "cli", note: "new rates", verifyingAt: "2026-11-23T00:09:00.000Z" }
  expect(send({ ...decided, ...asked }, "gs://b/verdict.json")).toEqual({
    ...sent,
    ...asked,
    document: "gs://b/verdict.json",
  })
})

test("it names the shards of each fault and the message that puts them right, and no users", () => {
  const retry = { topic: "rerun-requests", data: '{"runId":"2026-11-22-1"}' }
  const faults = [
    { index: 3, fault: "drifted", reason: "two users differ", usersDiffering: 2n, users: [{ userId: "4711" }] },
    { index: 0, fault: "missing", reason: "no task claimed it" },
    { index: 1, fault: "missing", reason: "no task claimed it" },
    { fault: "unverified", reason: "its plan cannot be read" },
  ]
  const incomplete = { verdict: "incomplete", reason: "2 shards missing" }
  expect(send({ ...decided, ...incomplete, faults, faultsInAll: 4n, faultsDocument: "f", retry })).toEqual({
    ...sent,
    ...incomplete,
    missing: [0, 1],
    drifted: [3],
    retry,
  })
})

test("it has what the version changes, by numbers of users, and sums of each currency where they are not added up", () => {
  const before = { amountCents: "5", purchases: 1n, measures: { tax: "1" } }
  const after = { amountCents: "-18446744073709551616", purchases: 2n, measures: {} }
  const changes = { fromVersion: 1, added: 1n, changed: 1n, removed: 0n, document: "gs://b/changes.jsonl" }
  const parts = [{ currency: "EUR", rows: 1n, purchases: 2n, amountCents: "3", measures: { tax: "1" } }]
  const verdict = {
    ...decided,
    version: 2,
    revenue: { rows: 3n, purchases: 7n, parts },
    guests: { purchases: 0n },
    changes: {
      ...changes,
      largest: [
        { userId: "9223372036854775807", currency: "EUR", before, after },
        { userId: "18446744073709551615", after: before },
      ],
    },
  }
  const { amountCents: _all, guestAmountCents: _guests, ...others } = sent
  expect(send(verdict)).toEqual({
    ...others,
    version: 2,
    parts: [{ currency: "EUR", rows: "1", purchases: "2", amountCents: "3", measures: { tax: "1" } }],
    changes: {
      fromVersion: 1,
      added: "1",
      changed: "1",
      removed: "0",
      document: "gs://b/changes.jsonl",
      amountCentsBefore: "",
      amountCentsAfter: "",
      largest: [
        {
          userId: "9223372036854775807",
          currency: "EUR",
          before: { amountCents: "5", purchases: "1", measures: { tax: "1" } },
          after: { amountCents: "-18446744073709551616", purchases: "2" },
        },
        { userId: "0", userKey: "18446744073709551615", before: undefined, after: expect.anything() },
      ],
    },
  })
})
