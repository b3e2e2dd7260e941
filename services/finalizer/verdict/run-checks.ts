import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { checksFolder } from "../../../schemas/database/checks-folder.ts"
import { allRows, type Database } from "../../../shared/database/open-database.ts"
import { ConfigurationError, describeError } from "../../../shared/errors.ts"
import type { Run } from "../../../shared/ledger/runs/find-runs.ts"
import { isTransient } from "../../../shared/transient.ts"
import type { Seen } from "../proof/add-up-evidence.ts"

/** A question to a day that readers do not see yet; any row is an objection. */
export interface Check {
  /** The file's name, without its ending. */
  name: string
  severity: "block" | "warn"
  /** What it means that it does not pass. */
  meaning: string
  query: string
}

/** A check that did not pass. */
export interface Objection extends Omit<Check, "query"> {
  /** The first rows that it returned, JSON each. */
  rows: string[]
}

const ROWS_KEPT_MAX = 20

/** Reads the checks of a folder, in the order of their names. Throws a ConfigurationError for a file that is none. */
export function readChecks(folder = checksFolder): Check[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".sql"))
  return files.toSorted().map((file) => {
    const text = readFileSync(join(folder, file), "utf8")
    const [, severity, meaning] = /^-- (block|warn): (.+)/.exec(text) ?? []
    if ((severity !== "block" && severity !== "warn") || meaning === undefined) {
      throw new ConfigurationError(`${join(folder, file)} does not begin with "-- block: …" or "-- warn: …"`)
    }
    return { name: file.replace(/\.sql$/, ""), severity, meaning, query: text.trim().replace(/;$/, "") }
  })
}

/**
 * Asks each check of a version that is verified and hidden. One that the server refuses is an objection, too: nobody knows
 * whether it would have passed. Throws what may pass.
 */
export async function runChecks(
  db: Database,
  checks: Check[],
  run: Run,
  { revenue, largestCents }: Pick<Seen, "revenue" | "largestCents">,
): Promise<Objection[]> {
  const values: Record<string, string> = {
    date: `DATE'${run.revenueDate}'`,
    version: String(run.version),
    users: String(revenue.rows),
    purchases: String(revenue.purchases),
    amount_cents: revenue.amountCents === undefined ? "NULL" : String(revenue.amountCents),
    largest_amount_cents: String(largestCents),
  }
  const objections: Objection[] = []
  for (const { query, ...check } of checks) {
    const objecting = await runCheckQuery(
      db,
      query.replace(/:([a-z_]+)\b/g, (name, key: string) => values[key] ?? name),
    )
    if (objecting.length > 0) objections.push({ ...check, rows: objecting.slice(0, ROWS_KEPT_MAX) })
  }
  return objections
}

async function runCheckQuery(db: Database, query: string): Promise<string[]> {
  try {
    return allRows<Record<string, unknown>>(await db.execute(query)).map((row) => JSON.stringify(row))
  } catch (error) {
    if (isTransient(error)) throw error
    return [JSON.stringify({ error: describeError(error) })]
  }
}
