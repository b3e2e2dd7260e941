import type { UserId } from "../../schemas/database/user-type.ts"

/** A user, and what orders users as their column does. */
export interface PlacedUser {
  userId: UserId
  order: bigint | string
}

/** About how many rows of a day lie from a key to that of the next part. A shard is made of such parts. */
export interface PlanPiece {
  from: UserId
  /** Where the key is a user's that was found; undefined where it is only proposed. */
  order?: PlacedUser["order"] | undefined
  rows: number
  /** Cuts it into smaller ones, by a look at it alone. */
  cutFiner?: () => Promise<PlanPiece[]>
}
