import * as v from "valibot"
import { SCAN_ROWS_MAX } from "../../schemas/database/own-expressions.ts"
import { readShopFile } from "../../schemas/database/read-shop-file.ts"
import { describeError } from "../errors.ts"
import { wholeNumber } from "./read-config.ts"

/** How the shop is read, for those who read it or show its amounts: the layout that comes of the file, or of none. */
export const shopSettings = {
  SHOP_FILE: v.optional(
    v.pipe(
      v.string(),
      v.description("the file that declares the shop's tables"),
      v.rawTransform(({ dataset, addIssue, NEVER }) => {
        try {
          return readShopFile(dataset.value)
        } catch (error) {
          addIssue({ message: `${dataset.value} is no declaration of a shop: ${describeError(error)}` })
          return NEVER
        }
      }),
    ),
    "",
  ),
}

/** For those who choose how the shop is read. */
export const readSettings = {
  SCAN_ROWS_MAX: v.optional(
    wholeNumber("up to how many rows a table is read without an index of its time; 0: never", 0, 1_000_000_000),
    String(SCAN_ROWS_MAX),
  ),
}
