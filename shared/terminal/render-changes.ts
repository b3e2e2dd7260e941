import type { UserId } from "../../schemas/database/user-type.ts"
import type { Spent } from "../day/compare-totals.ts"
import { formatAmount } from "./render-amount.ts"
import { formatCount } from "./render-numbers.ts"
import { renderTable } from "./render-table.ts"

/** A change as it is found, or as a document has it. */
interface Change {
  userId: UserId
  currency?: string | undefined
  before?: Spent | undefined
  after?: Spent | undefined
}

/** Users whose revenue is another one, as a table: what they had, what they have, and what lies between. Amounts have `scale` decimals. */
export function renderChanges(changes: Change[], scale: number): string[] {
  const right = "right" as const
  const hasCurrency = changes.some(({ currency }) => currency !== undefined)
  const titles = ["user", ...(hasCurrency ? [""] : []), "before", "purchases", "after", "purchases", "difference"]
  return renderTable(
    titles.map((title) => ({ title, align: right })),
    changes.map(({ userId, currency = "", before, after }) => [
      String(userId),
      ...(hasCurrency ? [currency] : []),
      ...renderSpent(before, scale),
      ...renderSpent(after, scale),
      formatAmount(differenceOf(before, after), scale),
    ]),
  )
}

function renderSpent(spent: Spent | undefined, scale: number): string[] {
  return spent ? [formatAmount(spent.amountCents, scale), formatCount(spent.purchases)] : ["", ""]
}

function differenceOf(before: Spent | undefined, after: Spent | undefined): string {
  return String(BigInt(after?.amountCents ?? 0) - BigInt(before?.amountCents ?? 0))
}
