import { describe, expect, test } from "vitest"
import { columnDdl, indexDdl, listSliceDdl, listTimeDdl } from "../../schemas/database/shop-ddl.ts"
import { parseShopDeclaration } from "../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../schemas/database/shop-layout.ts"

const whole = `
table: orders
user: {column: customer_id, guest: 0}
amount: {expression: total, scale: 2}
time: {column: created, kind: utc}
counts: "status = 'paid'"
`

describe("a declaration of a shop", () => {
  test.each([
    ["table: orders", "table: a.b.orders", "table is no name of a table"],
    ["guest: 0", "guest: 0.5", "user.guest is no whole number"],
    ["scale: 2", "scale: -1", "amount.scale"],
    ["kind: utc", "kind: gmt", "time.kind"],
    ["counts:", "count:", "count"],
    ["table: orders\n", "", "table"],
    ["table: orders", "userType: uuid\ntable: orders", "userType is none of bigint"],
    ["counts:", "measures: {user: {expression: tax, scale: 2}}\ncounts:", "measures.user is the name of a column"],
    ["counts:", "measures: {Tax: {expression: tax, scale: 2}}\ncounts:", "measures.Tax is no name of a measure"],
  ])("with %s made %j is refused, and the field named", (right, wrong, problem) => {
    expect(whole).toContain(right)
    expect(() => parseShopDeclaration(whole.replace(right, wrong))).toThrow(problem)
  })

  const refunds = "{table: refunds, user: {column: u}, amount: {expression: a, scale: 2}, time: {column: t, kind: utc}}"
  test.each([
    ["table: refunds", "table: orders", "a table is named twice"],
    ["scale: 2", "scale: 3", "refunds: every source needs the same scale"],
    ["time:", "currency: c, time:", "either every source says its currency or none"],
    ["time:", "measures: {tax: {expression: t, scale: 2}}, time:", "every source needs the same measures"],
    ["time:", "refund: true, time:", "refund"],
  ])("of several sources with %j made %j is refused", (right, wrong, problem) => {
    const declare = (second: string) => `sources:\n  - ${refunds.replace("refunds", "orders")}\n  - ${second}\n`
    expect(parseShopDeclaration(declare(refunds)).sources).toHaveLength(2)
    expect(() => parseShopDeclaration(declare(refunds.replace(right, wrong)))).toThrow(problem)
  })

  test("names every problem at once", () => {
    expect(() => parseShopDeclaration("table: orders\ntime: {column: created, kind: gmt}")).toThrow(
      /user .*; amount .*; time\.kind|time\.kind .*user .*amount/s,
    )
  })

  test("comes to the columns that are not there as they are, and one index", () => {
    const shop = layOutShop(parseShopDeclaration(whole))
    const [layout] = shop.sources
    expect(layout.generated.map(({ name }) => name)).toEqual(["daybook_user", "daybook_amount", "daybook_on"])
    expect(layout.columns.purchasedAt).toBe("created")
    expect(indexDdl(layout)).toContain("(daybook_on, daybook_user, created, daybook_amount)")
    const [user] = layout.generated
    expect(user && columnDdl(layout, user)).toMatch(
      /daybook_user BIGINT AS \(NULLIF\(`customer_id`, 0\)\) VIRTUAL COMMENT 'daybook \w{16}'/,
    )
  })

  test("comes to expressions over the table's own columns, and to one plain index at most", () => {
    const shop = layOutShop(parseShopDeclaration(whole))
    const [{ own }] = shop.sources
    expect(own).toMatchObject({ userId: "`customer_id`", guest: "0", counts: "status = 'paid'" })
    expect(own.amountCents).toMatch(/^CAST\(IF\(\(total\) \* 100 = ROUND/)
    expect(listTimeDdl(shop)).toEqual(["CREATE INDEX daybook_created ON orders (created) ALGORITHM=INPLACE LOCK=NONE"])
  })

  test("generates no date from a TIMESTAMP", () => {
    const shop = layOutShop(parseShopDeclaration(whole.replace("kind: utc", "kind: timestamp")))
    expect(listSliceDdl(shop)).toEqual([])
    expect(listTimeDdl(shop)).toHaveLength(1)
  })

  test.each([
    ["user: {column: customer_id, guest: 0}", "user: {column: a, expression: b}", "user needs either"],
    ["user: {column: customer_id, guest: 0}", "user: {guest: 0}", "user needs either"],
    ["user: {column: customer_id, guest: 0}", "user: {expression: a + b}", "userType is missing"],
    ["kind: utc", "kind: timestamp, clock: sold_at", "time has a clock"],
  ])("with %j made %j is refused", (right, wrong, problem) => {
    expect(() => parseShopDeclaration(whole.replace(right, wrong))).toThrow(problem)
  })

  test("that says something else gives its columns another comment", () => {
    const comments = (text: string) =>
      layOutShop(parseShopDeclaration(text)).sources[0].generated.map(({ comment }) => comment)
    const [user, amount, on] = comments(whole)
    expect(comments(whole.replace("'paid'", "'done'"))).toEqual([user, amount, expect.not.stringMatching(on ?? "")])
    expect(comments(whole.replace("scale: 2", "scale: 3"))).toEqual([user, expect.not.stringMatching(amount ?? ""), on])
  })
})
