import type { Spent, UserChange } from "../day/compare-totals.ts"
import { formatAmount, formatCount } from "./render-numbers.ts"
import { renderTable } from "./render-table.ts"

/** Users whose revenue is another one, as a table: what they had, what they have, and what lies between. */
export function renderChanges(changes: { userId: bigint; before?: Spent | undefined; after?: Spent | undefined }[]) {
  const right = "right" as const
  const titles = ["user", "before", "purchases", "after", "purchases", "difference"]
  return renderTable(
    titles.map((title) => ({ title, align: right })),
    changes.map(({ userId, before, after }) => [
      String(userId),
      ...renderSpent(before),
      ...renderSpent(after),
      formatAmount(differenceOf(before, after)),
    ]),
  )
}

function renderSpent(spent: Spent | undefined): string[] {
  return spent ? [formatAmount(spent.amountCents), formatCount(spent.purchases)] : ["", ""]
}

function differenceOf(before: Spent | undefined, after: UserChange["after"]): string {
  return String(BigInt(after?.amountCents ?? 0) - BigInt(before?.amountCents ?? 0))
}
