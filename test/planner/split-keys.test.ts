import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { parseUserType, type UserType } from "../../schemas/database/user-type.ts"
import { splitKeys } from "../../services/planner/split-keys.ts"

const typeOf = (text: string) => parseUserType(text) as UserType
const integers = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
const parts = fc.integer({ min: 2, max: 50 })

describe("splitKeys", () => {
  it("cuts numbers, between the first and the last, into parts that are about equal", () => {
    fc.assert(
      fc.property(integers, integers, parts, (one, other, parts) => {
        const [from, to] = one < other ? [one, other] : [other, one]
        const keys = splitKeys(typeOf("bigint"), from, to, parts) as bigint[]
        const cuts = [from, ...keys, to + 1n]
        const sizes = cuts.slice(1).map((cut, at) => cut - (cuts[at] ?? 0n))
        expect(sizes.every((size) => size > 0n)).toBe(true)
        expect(keys).toHaveLength(Number(to - from < BigInt(parts) ? to - from : BigInt(parts - 1)))
        for (const size of sizes) expect(size - (to - from + 1n) / BigInt(parts)).toBeLessThanOrEqual(1n)
      }),
    )
  })

  it("names keys of bytes that no column refuses, in their order", () => {
    const bytes = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((key) => Buffer.from(key).toString("hex").toUpperCase())
    fc.assert(
      fc.property(bytes, bytes, parts, (one, other, parts) => {
        const [from, to] = [one, other].toSorted() as [string, string]
        const keys = splitKeys(typeOf("binary(16)"), from, to, parts) as string[]
        expect(keys).toEqual(keys.toSorted())
        for (const key of keys) expect(key).toMatch(/^([0-9A-F]{2}){1,16}$/)
        if (keys[0] !== undefined) expect([from, keys[0]].toSorted()).toEqual([from, keys[0]])
        if (from.slice(0, 2) !== to.slice(0, 2)) expect(keys.length).toBeGreaterThan(0)
      }),
    )
  })

  it("cuts texts behind what they begin with, in the order of their column", () => {
    const halves = (type: string, from: string, to: string) => splitKeys(typeOf(type), from, to, 2)
    expect(halves("varchar(20) collate utf8mb4_bin", "customer-1000", "customer-9000")[0]).toMatch(/^customer-5/)
    expect(halves("varchar(20) collate utf8mb4_general_ci", "Müller-A", "müller-z")[0]).toMatch(/^müller-[l-o]/)
    expect(halves("char(3) collate ascii_bin", "abc", "abe")).toEqual(["abd"])
    expect(halves("varchar(20) collate utf8mb4_bin", "same", "same")).toEqual([])
  })
})
