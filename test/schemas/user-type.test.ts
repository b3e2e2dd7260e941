import { sql } from "drizzle-orm"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isColumnOf, orderOfUser, parseUserId, parseUserType, userLiteral } from "../../schemas/database/user-type.ts"
import { allRows } from "../../shared/database/open-database.ts"
import { kindOf, useTestDatabase } from "../fixtures/test-database.ts"

const database = useTestDatabase()

describe("a type of users", () => {
  test.each([
    ["bigint", "BIGINT"],
    ["BIGINT  UNSIGNED", "BIGINT UNSIGNED"],
    ["char(36) collate ascii_bin", "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin"],
    ["varchar(255) collate utf8_general_ci", "VARCHAR(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci"],
    ["binary(16)", "BINARY(16)"],
  ])("%s is %s", (text, declared) => {
    expect(parseUserType(text)?.sql).toBe(declared)
  })

  test.each([
    "int",
    "char(36)",
    "varchar(256) collate utf8mb4_bin",
    "binary(128)",
    "text collate utf8mb4_bin",
    "float",
  ])("%s is none", (text) => {
    expect(parseUserType(text)).toBeUndefined()
  })

  test("is that of a column only if its length and its collation are the same", () => {
    const type = parseUserType("char(36) collate ascii_bin")
    if (!type) throw new Error("no type")
    const column = { type: "char", fullType: "char(36)", collation: "ascii_bin" }
    expect(isColumnOf(type, column)).toBe(true)
    expect(isColumnOf(type, { ...column, fullType: "char(35)" })).toBe(false)
    expect(isColumnOf(type, { ...column, collation: "ascii_general_ci" })).toBe(false)
    expect(isColumnOf(type, { type: "varchar", fullType: "varchar(36)", collation: "ascii_bin" })).toBe(false)
  })

  test("has literals that nothing escapes from, and refuses what is no key", () => {
    const [text, bytes, number] = ["varchar(64) collate utf8mb4_bin", "binary(2)", "bigint"].map(parseUserType)
    if (!text || !bytes || !number) throw new Error("no type")
    expect(userLiteral(text, "a'\\; DROP")).toBe("_utf8mb4 x'61275c3b2044524f50'")
    expect(userLiteral(bytes, "00FF")).toBe("x'00FF'")
    expect(() => userLiteral(bytes, "0' OR 1")).toThrow(RangeError)
    expect(() => parseUserId(number, "cus_1")).toThrow("the user cus_1 is no whole number")
  })
})

const characters = [
  "a",
  "A",
  "b",
  "B",
  " ",
  "z",
  "Z",
  "0",
  "9",
  "_",
  "-",
  "\t",
  "é",
  "ß",
  "œ",
  "ж",
  "Ж",
  "中",
  "\u0301",
  "😀",
]

const keys = fc.array(fc.string({ unit: fc.constantFrom(...characters), maxLength: 5 }), {
  minLength: 2,
  maxLength: 60,
})

describe("what orders texts is what their column says", () => {
  const collations = ["utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci"]
  test.each([...collations, "the server's newest"])("%s", async (name) => {
    const newest = (await kindOf(database)) === "mysql" ? "utf8mb4_0900_as_cs" : "utf8mb4_unicode_nopad_ci"
    const type = parseUserType(`varchar(8) collate ${name.includes(" ") ? newest : name}`)
    if (!type) throw new Error("no type")
    await database.query("DROP TABLE IF EXISTS texts", `CREATE TABLE texts (k ${type.sql} NOT NULL)`)
    await fc.assert(
      fc.asyncProperty(keys, async (texts) => {
        await database.query(
          "DELETE FROM texts",
          `INSERT INTO texts VALUES ${texts.map((text) => `(${userLiteral(type, text)})`).join(", ")}`,
        )
        const rows = allRows<{ order: string; group: string }>(
          await database.db.execute(sql`
            SELECT ${orderOfUser(type, sql`k`)} AS \`order\`, DENSE_RANK() OVER (ORDER BY k) AS \`group\`
            FROM texts ORDER BY k`),
        )
        for (const [at, row] of rows.slice(1).entries()) {
          const before = rows[at]
          if (row.group === before?.group) expect(row.order).toBe(before.order)
          else expect(row.order > (before?.order ?? "")).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  })
})
