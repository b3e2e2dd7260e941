import type { Totals } from "../../day/totals.ts"
import { formatDigits, parsePart, partFields } from "../../day/totals-fields.ts"

/** Totals as the ledger's tables have them; all null where nothing was added up. */
export interface TotalsColumns {
  rowCount: bigint | null
  purchases: bigint | null
  /** Null where there are currencies. */
  amountCents: string | null
  /** JSON; null where there are none. */
  parts: string | null
}

export function totalsColumns({ rows, purchases, amountCents, parts }: Totals): TotalsColumns {
  return {
    rowCount: rows ?? null,
    purchases,
    amountCents: amountCents === undefined ? null : String(amountCents),
    parts: parts.length > 0 ? formatDigits(parts.map(partFields)) : null,
  }
}

/** Undefined where nothing was added up: of a shard that is not done, of a day that an older version of Daybook published. */
export function readTotals({ rowCount, purchases, amountCents, parts }: TotalsColumns): Totals | undefined {
  if (purchases === null) return undefined
  return {
    rows: rowCount ?? undefined,
    purchases,
    amountCents: amountCents === null ? undefined : BigInt(amountCents),
    parts: parts === null ? [] : (JSON.parse(parts) as Parameters<typeof parsePart>[0][]).map(parsePart),
  }
}
