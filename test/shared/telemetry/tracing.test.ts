import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  findTraceParent,
  formatTraceParent,
  parseTraceParent,
  traceAttributes,
} from "../../../shared/telemetry/trace-parent.ts"
import {
  continueTrace,
  currentSpan,
  describeScope,
  inTraceSpan,
  noteFields,
} from "../../../shared/telemetry/tracing.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const parent = { traceId, spanId, traceFlags: 1, isRemote: true }
const traceparent = `00-${traceId}-${spanId}-01`
const hex = (length: number) =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((text) => /[^0]/.test(text))

describe("a traceparent", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.constantFrom(0, 1), (trace, span, traceFlags) => {
        const context = { traceId: trace, spanId: span, traceFlags, isRemote: true }
        expect(parseTraceParent(formatTraceParent(context))).toEqual(context)
        expect(findTraceParent(traceAttributes(context), {})).toEqual(context)
      }),
    )
  })

  test.each([
    undefined,
    "",
    "nonsense",
    traceparent.toUpperCase(),
    `ff-${traceId}-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId}-${spanId}`,
  ])("that is none is no reason to fail: %s", (text) => {
    expect(parseTraceParent(text)).toBeUndefined()
  })
})

describe("the trace of a request", () => {
  const cloudTrace = `${"a".repeat(32)}/255;o=1`

  test("is that of who published its message, before that of the delivery", () => {
    const headers = { traceparent: `00-${"c".repeat(32)}-${spanId}-00`, "x-cloud-trace-context": cloudTrace }
    expect(findTraceParent({ googclient_traceparent: traceparent }, headers)).toEqual(parent)
    expect(findTraceParent({}, headers)?.traceId).toBe("c".repeat(32))
  })

  test("is read in Google's older form too, whose span is a decimal number", () => {
    expect(findTraceParent({}, { "x-cloud-trace-context": cloudTrace })).toEqual({
      traceId: "a".repeat(32),
      spanId: "00000000000000ff",
      traceFlags: 1,
      isRemote: true,
    })
    expect(findTraceParent({}, { "x-cloud-trace-context": `${"a".repeat(32)}/18446744073709551615` })?.spanId).toBe(
      "f".repeat(16),
    )
  })

  test.each(["x", "a".repeat(32), `${"a".repeat(32)}/99999999999999999999`, `${"a".repeat(32)}/0;o=1`])(
    "is nobody's if its header is broken: %s",
    (header) => {
      expect(findTraceParent({ googclient_traceparent: "x" }, { "x-cloud-trace-context": header })).toBeUndefined()
    },
  )
})

describe("what is logged in a span", () => {
  test("names what the span and those around it are about, and what turned out since, and not what others do", async () => {
    const seen: Record<string, unknown>[] = []
    await continueTrace(parent, () =>
      inTraceSpan("task", { runId: "r" }, async () => {
        await Promise.all(
          [0, 1].map((shard) =>
            inTraceSpan("shard", { shard }, async () => {
              await Promise.resolve()
              noteFields({ state: `done ${shard}` })
              seen.push(describeScope())
            }),
          ),
        )
        seen.push(describeScope())
      }),
    )
    expect(seen).toEqual([
      { runId: "r", shard: 0, state: "done 0" },
      { runId: "r", shard: 1, state: "done 1" },
      { runId: "r" },
    ])
    expect(describeScope("p")).toEqual({})
  })

  test("is in the trace that it continues, under the names of Cloud Logging", async () => {
    await continueTrace(parent, async () => {
      expect(currentSpan()).toMatchObject({ traceId, spanId })
      expect(describeScope("shop")).toEqual({
        "logging.googleapis.com/trace": `projects/shop/traces/${traceId}`,
        "logging.googleapis.com/spanId": spanId,
        "logging.googleapis.com/trace_sampled": true,
      })
      await continueTrace(undefined, async () => expect(describeScope("shop")).toEqual({}))
    })
  })

  test("an error goes through as it is", async () => {
    const error = new Error("no")
    await expect(inTraceSpan("task", {}, () => Promise.reject(error))).rejects.toBe(error)
    expect(currentSpan()).toBeUndefined()
  })
})
