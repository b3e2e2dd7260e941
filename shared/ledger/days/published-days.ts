import { eq, max } from "drizzle-orm"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"

/** What readers see of a date. */
export type PublishedDay = typeof publishedDays.$inferSelect

export async function findPublishedDay(db: Database, date: string): Promise<PublishedDay | undefined> {
  const [day] = await db.select().from(publishedDays).where(eq(publishedDays.revenueDate, date))
  return day
}

/** The newest date of which readers see anything. */
export async function findNewestShown(db: Database): Promise<string | undefined> {
  const [row] = await db.select({ date: max(publishedDays.revenueDate) }).from(publishedDays)
  return row?.date ?? undefined
}
