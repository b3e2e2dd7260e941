import {
  array,
  assert,
  constant,
  constantFrom,
  dictionary,
  letrec,
  oneof,
  property,
  record,
  string,
  tuple,
} from "fast-check"
import { describe, expect, it } from "vitest"
import { type Filter, matchesFilter, parseFilter } from "../../../services/emulators/pubsub/filter.ts"
import { useLocalPubSub } from "./local-pubsub.ts"

const attributes = { lang: "en", name: "com", "iana.org/tag": "x", quote: 'say "hi"', empty: "" }

describe("a filter", () => {
  it.each([
    ["attributes:name", true],
    ["attributes:missing", false],
    ["attributes:empty", true],
    ['attributes:"iana.org/tag"', true],
    ['attributes.name = "com"', true],
    ['attributes.name="Com"', false],
    ['attributes.name != "org"', true],
    ['attributes.name != "com"', false],
    ['attributes.missing != "com"', false],
    ['NOT attributes.missing = "com"', true],
    ['-attributes.name = "com"', false],
    ['hasPrefix(attributes.name, "co")', true],
    ['hasPrefix(attributes.name,"om")', false],
    ['attributes.quote = "say \\"hi\\""', true],
    ['attributes.name = "\\x63\\u006f\\155"', true],
    ['attributes:name AND attributes:lang AND NOT attributes.name = "org"', true],
    ['attributes:missing OR attributes.lang = "en"', true],
    ['(attributes:missing OR attributes:name) AND attributes.lang = "de"', false],
    ['NOT (attributes:missing OR attributes.lang = "jp")', true],
    ["NOT attributes:missing AND attributes:name", true],
    ["attributes:constructor", false],
  ])("%s", (text, passes) => {
    expect(matchesFilter(parseFilter(text), attributes)).toBe(passes)
  })

  it.each([
    ["attributes.name"],
    ["attributes.name = com"],
    ["attributes.name = 'com'"],
    ['attributes.name = "com'],
    ['attributes.name = "\\q"'],
    ['attributes.iana.org = "x"'],
    ['(attributes.name = "com"'],
    ['attributes.name = "com")'],
    ["hasPrefix(attributes.name)"],
    ["attributes:a AND attributes:b OR attributes:c"],
    ["attributes:a and attributes:b"],
    ["attributes:a AND"],
    ['message.data = "x"'],
    ["attributes.name = $"],
    [" "],
    [`attributes:${"k".repeat(256)}`],
  ])("is refused: %s", (text) => {
    expect(() => parseFilter(text)).toThrow(expect.objectContaining({ code: 3 }))
  })

  it("means the same however it is written", () => {
    assert(
      property(filters, dictionary(keys, string({ maxLength: 2 })), (filter, given) => {
        const text = write(filter)
        if (Buffer.byteLength(text) > 256) return
        expect(parseFilter(text)).toEqual(filter)
        const brackets = write({ op: "not", of: { op: "not", of: filter } })
        if (Buffer.byteLength(brackets) > 256) return
        expect(matchesFilter(parseFilter(brackets), given)).toBe(matchesFilter(filter, given))
      }),
    )
  })
})

const keys = oneof(constantFrom("a", "b", "NOT", "x-y_2"), string({ minLength: 1, maxLength: 3, unit: "binary" }))
const values = string({ maxLength: 3, unit: "binary" })

const { filter: filters } = letrec<{ filter: Filter; some: Filter[] }>((tie) => ({
  filter: oneof(
    { maxDepth: 3, withCrossShrink: true },
    record({ op: constant("has" as const), key: keys }),
    record({ op: constantFrom("equals" as const, "differs" as const, "prefix" as const), key: keys, value: values }),
    record({ op: constant("not" as const), of: tie("filter") }),
    record({ op: constantFrom("and" as const, "or" as const), of: tie("some") }),
  ),
  some: tuple(tie("filter"), array(tie("filter"), { minLength: 1, maxLength: 2 })).map(([first, rest]) => [
    first,
    ...rest,
  ]),
}))

function write(filter: Filter): string {
  switch (filter.op) {
    case "has":
      return `attributes:${writeKey(filter.key)}`
    case "prefix":
      return `hasPrefix(attributes.${writeKey(filter.key)}, ${quote(filter.value)})`
    case "equals":
    case "differs":
      return `attributes.${writeKey(filter.key)} ${filter.op === "equals" ? "=" : "!="} ${quote(filter.value)}`
    case "not":
      return `NOT ${nested(filter.of)}`
    case "and":
    case "or":
  }
  return filter.of.map(nested).join(filter.op === "and" ? " AND " : " OR ")
}

function nested(filter: Filter): string {
  return filter.op === "and" || filter.op === "or" ? `(${write(filter)})` : write(filter)
}

function writeKey(key: string): string {
  return /^\w[\w-]*$/.test(key) ? key : quote(key)
}

function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`
}

describe("a subscription with a filter", () => {
  const local = useLocalPubSub()

  it("gets what passes; the rest counts as acknowledged", async () => {
    const { topic, subscription } = await local().createPair({ filter: 'attributes.runId = "r1"' })
    await local().publish(topic, ["other"], { attributes: { runId: "r2" } })
    await local().publish(topic, ["none"])
    await local().publish(topic, ["ours"], { attributes: { runId: "r1" } })
    expect(await local().pull(subscription)).toMatchObject([{ text: "ours" }])
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 1 })
  })

  it("keeps its filter for good, and refuses one that is none", async () => {
    const { subscription } = await local().createPair({ filter: "attributes:a" })
    const update = { subscription: { name: subscription, filter: "attributes:b" }, updateMask: { paths: ["filter"] } }
    await expect(local().subscriber.updateSubscription(update)).rejects.toMatchObject({ code: 3 })
    await expect(local().createPair({ filter: "nonsense" })).rejects.toMatchObject({ code: 3 })
  })
})
