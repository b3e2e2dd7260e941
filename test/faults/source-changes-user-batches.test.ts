import { describe } from "vitest"
import { userShopTables } from "../fixtures/user-shop.ts"
import { proveSourceChanges } from "./prove-source-changes.ts"

describe.each([
  ["beside Revenue", false],
  ["on another server", true],
])("what happens to a shop with an index of each user's purchases %s", (_where, isShopElsewhere) => {
  proveSourceChanges({ shop: userShopTables, isShopElsewhere, settings: { SCAN_ROWS_MAX: "0" } })
})
