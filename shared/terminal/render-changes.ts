import type { UserChange } from "../day/compare-totals.ts"
import type { Sums } from "../day/totals.ts"
import { formatAmount } from "./render-amount.ts"
import { formatCount } from "./render-numbers.ts"
import { renderTable } from "./render-table.ts"

/** Users whose revenue is another one, as a table: what they had, what they have, and what lies between. Amounts have `scale` decimals. */
export function renderChanges(changes: UserChange[], scale: number): string[] {
  const right = "right" as const
  const hasCurrency = changes.some(({ currency }) => currency !== undefined)
  const titles = ["user", ...(hasCurrency ? [""] : []), "before", "purchases", "after", "purchases", "difference"]
  return renderTable(
    titles.map((title) => ({ title, align: right })),
    changes.map(({ userId, currency = "", before, after }) => [
      String(userId),
      ...(hasCurrency ? [currency] : []),
      ...renderSums(before, scale),
      ...renderSums(after, scale),
      formatAmount(differenceOf(before, after), scale),
    ]),
  )
}

function renderSums(sums: Sums | undefined, scale: number): string[] {
  return sums ? [formatAmount(sums.amountCents, scale), formatCount(sums.purchases)] : ["", ""]
}

function differenceOf(before: Sums | undefined, after: Sums | undefined): bigint {
  return (after?.amountCents ?? 0n) - (before?.amountCents ?? 0n)
}
