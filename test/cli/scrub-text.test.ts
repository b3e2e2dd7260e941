import { expect, test } from "vitest"
import { scrubDocument, scrubJson, scrubSentence } from "../../services/cli/scrub-text.ts"

const who = { spellings: ["17"], nextKey: "18" }

test.each([
  [
    "user 17 spent 99 in 2 purchases, which does not fit",
    "a forgotten user spent 99 in 2 purchases, which does not fit",
  ],
  [
    "1 user differs: 17 (Revenue has 5 of 1, the shop nothing)",
    "1 user differs: a forgotten user (Revenue has 5 of 1, the shop nothing)",
  ],
  ["user 170 spent 17 in 17 purchases", "user 170 spent 17 in 17 purchases"],
  ["-17 (Revenue has 17 of 17, the shop 117 of 17)", "-17 (Revenue has 17 of 17, the shop 117 of 17)"],
])("the sentence %j becomes %j", (text, scrubbed) => {
  expect(scrubSentence(text, who)).toBe(scrubbed)
})

test("a key of a text is taken as it is, whatever it means in a pattern", () => {
  const ada = { spellings: ["a.d+a@shop.example", "A.D+A@shop.example"] }
  expect(scrubSentence("user a.d+a@shop.example has a purchase", ada)).toBe("a forgotten user has a purchase")
  expect(scrubSentence("user A.D+A@shop.example has a purchase", ada)).toBe("a forgotten user has a purchase")
  expect(scrubSentence("user aXd+a@shop.example has a purchase", ada)).toBe("user aXd+a@shop.example has a purchase")
})

test("entries about the user go, with the rows of checks; others, and numbers that are equal, stay", () => {
  const document = {
    purchases: "17",
    version: 17,
    faults: [{ index: 17, reason: "17", users: [{ userId: "17", after: { purchases: "17" } }, { userId: "171" }] }],
    checks: [{ rows: ['{"user_id":17,"amount":5}', '{"user_id":5,"amount":17}', "{no row of user 17}"] }],
  }
  expect(JSON.parse(scrubJson(JSON.stringify(document), who))).toEqual({
    purchases: "17",
    version: 17,
    faults: [{ index: 17, reason: "17", users: [{ userId: "171" }] }],
    checks: [{ rows: ['{"user_id":5,"amount":17}', "{no row of a forgotten user}"] }],
  })
})

test("a range that ends at the user ends at the next one; where nobody is next it stays", () => {
  const plan = '{\n  "shards": [\n    {\n      "to": "17"\n    },\n    {\n      "from": "17"\n    }\n  ]\n}'
  expect(scrubJson(plan, who)).toBe(plan.replaceAll("17", "18"))
  expect(scrubJson(plan, { spellings: ["17"] })).toBe(plan)
})

test("of lines those about the user go, and the others are the same to the byte", () => {
  const lines = '{"userId":"16","before":null}\n{"userId":"17","before":null}\n{"index":3,"reason":"user 17 spent"}\n'
  expect(scrubDocument("runs/x/changes.jsonl", lines, who)).toBe(
    '{"userId":"16","before":null}\n{"index":3,"reason":"a forgotten user spent"}\n',
  )
  expect(scrubDocument("runs/x/changes.jsonl", "", who)).toBe("")
})

test("a key that JSON writes otherwise is found in a document", () => {
  const ada = { spellings: ['ada "a\\b"'] }
  const line = (userId: string) => `${JSON.stringify({ userId, before: null })}\n`
  expect(scrubDocument("runs/x/changes.jsonl", line("bob") + line('ada "a\\b"'), ada)).toBe(line("bob"))
})
