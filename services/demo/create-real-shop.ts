import { readFileSync } from "node:fs"
import { join } from "node:path"
import { listSliceDdl } from "../../schemas/database/shop-ddl.ts"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { REAL_SHOP_DATE, realShopFile, realShopFolder } from "./real-shops.ts"

/** The statements of one of a shop's files. */
export function readShopStatements(name: string, file: string): string[] {
  const text = readFileSync(join(realShopFolder(name), file), "utf8")
  return text.split(/;\s*\n/).filter((statement) => statement.trim() !== "")
}

/** The numbers from 0 to 19,999, from which the shops fill their tables. */
const numbersTable = [
  "CREATE TABLE digits (d INT PRIMARY KEY)",
  "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
  "CREATE TABLE numbers (n INT PRIMARY KEY)",
  `INSERT INTO numbers SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d
   FROM digits a, digits b, digits c, digits e, digits f WHERE f.d < 2`,
]

/** Makes the tables of a shop, with their rows. */
export async function createRealShop(db: Database, name: string): Promise<void> {
  for (const statement of [...numbersTable, ...readShopStatements(name, "shop.sql")]) await db.execute(statement)
}

/** Adds what an index of the day takes. Without it the tables are read as they are. */
export async function addSlices(db: Database, layout: ShopLayout, log: (line: string) => void): Promise<void> {
  for (const statement of listSliceDdl(layout)) {
    log(`${statement};`)
    await db.execute(statement)
  }
}

/** Rows of Revenue, or of the truth, as lines that can be compared: keys of which capitals do not matter in small letters. */
function asLines(rows: Record<string, unknown>[], name: string): string[] {
  const isCaseless = /collate \S+_ci/.test(readFileSync(realShopFile(name), "utf8"))
  const asCell = (value: unknown) => (Buffer.isBuffer(value) ? value.toString("hex").toUpperCase() : String(value))
  const lines = rows.map((row) => Object.values(row).map(asCell).join(","))
  return lines.map((line) => (isCaseless ? line.toLowerCase() : line)).toSorted()
}

/** What readers see of the date, beside the truth, which knows nothing of Daybook. */
export async function compareWithTruth(
  db: Database,
  name: string,
  shopDb: Database = db,
): Promise<{ columns: string[]; seen: string[]; expected: string[] }> {
  const rows = await select(db, `SELECT * FROM revenue WHERE revenue_date = '${REAL_SHOP_DATE}'`)
  const withoutDate = rows.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => name !== "revenue_date")),
  )
  const [truth = ""] = readShopStatements(name, "truth.sql")
  return {
    columns: Object.keys(withoutDate[0] ?? {}),
    seen: asLines(withoutDate, name),
    expected: asLines(await select(shopDb, truth), name),
  }
}

async function select(db: Database, query: string): Promise<Record<string, unknown>[]> {
  return allRows<Record<string, unknown>>(await db.execute(query))
}
