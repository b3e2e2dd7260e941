import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { expect, test } from "vitest"

const root = new URL("../../..", import.meta.url).pathname
const ITS_FILE = "shared/database/transaction.ts"

// Methods of drizzle and of mysql2, and statements at the beginning of a text.
const opens =
  /\.\s*transaction\s*(?:<[^()]*>)?\(|\bbeginTransaction\b|["'`]\s*(?:begin\b(?! [a-z])|start\s+transaction\b)/i

async function listSources(folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder), { recursive: true })
  return names.filter((name) => name.endsWith(".ts")).map((name) => join(folder, name))
}

async function listOpeners(path: string): Promise<string[]> {
  const lines = (await readFile(join(root, path), "utf8")).split("\n")
  return lines.flatMap((line, at) => (opens.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : []))
}

test(`every transaction is opened by ${ITS_FILE}: nothing else knows when a connection may serve others`, async () => {
  const paths = (await Promise.all(["services", "shared"].map(listSources))).flat()
  expect(paths).toContain(ITS_FILE)
  const openers = await Promise.all(paths.filter((path) => path !== ITS_FILE).map(listOpeners))
  expect(openers.flat()).toEqual([])
})

test.each([
  "await db.transaction(async (tx) => {",
  "return db.transaction<Run>(work)",
  "await connection.beginTransaction()",
  'connection.query("BEGIN", done)',
  "await tx.execute(sql`start transaction read only`)",
  "await pool.query('START  TRANSACTION')",
])("%s is one that opens one", (line) => {
  expect(line).toMatch(opens)
})

test.each(["return inTransaction(db, async (tx) => {", '"begins at once"', "`begin with the day`"])(
  "%s is none",
  (line) => {
    expect(line).not.toMatch(opens)
  },
)
