import { eq } from "drizzle-orm"
import { publishedDays } from "../../schemas/database/revenue.ts"
import type { Database } from "../database.ts"

/** What readers see of a date. */
export type PublishedDay = typeof publishedDays.$inferSelect

export async function findPublishedDay(db: Database, date: string): Promise<PublishedDay | undefined> {
  const [day] = await db.select().from(publishedDays).where(eq(publishedDays.revenueDate, date))
  return day
}
