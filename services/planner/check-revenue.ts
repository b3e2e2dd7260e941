import { sql } from "drizzle-orm"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { identityOfUser, type UserType } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { compareRevenue } from "../../shared/database/revenue-shape.ts"
import { PermanentError } from "../../shared/errors.ts"

/**
 * Looks whether Revenue can hold what the shop declares, and whether both servers order its users alike. Throws a
 * PermanentError that says what to do.
 */
export async function checkRevenue(db: Database, shopDb: Database, layout: ShopLayout): Promise<void> {
  const { statements } = await compareRevenue(db, layout)
  if (statements.length > 0) {
    throw new PermanentError(
      `revenue_versions is not what SHOP_FILE declares: run \`npm run migrate\` with that SHOP_FILE, which does this, and start the date again: ${statements.join("; ")}`,
    )
  }
  const { userType } = layout
  if (userType.kind !== "text" || shopDb === db) return
  const [ours, theirs] = await Promise.all([weighProbe(db, userType), weighProbe(shopDb, userType)])
  if (ours !== theirs) {
    throw new PermanentError(
      `the servers of Revenue and of the shop do not order texts of ${userType.collation} alike, so that users could not be compared: use servers of the same kind, or a column of a _bin collation`,
    )
  }
}

// Letters, digits, signs, accents, a ligature, other scripts, and a space at the end.
const PROBE = "aA0-_.:@zZ\u00e9\u00df\u0153\u0436\u4e2d "

/** What the collation makes of some characters, of those that its character set has. */
async function weighProbe(db: Database, userType: UserType & { kind: "text" }): Promise<string> {
  const charset = userType.collation.replace(/_.*$/, "")
  const text = `CONVERT(_utf8mb4 x'${Buffer.from(PROBE).toString("hex")}' USING ${charset}) COLLATE ${userType.collation}`
  const [row] = allRows<{ weight: string }>(
    await db.execute(sql`SELECT HEX(${identityOfUser(userType, sql.raw(text))}) AS weight`),
  )
  return row?.weight ?? ""
}
