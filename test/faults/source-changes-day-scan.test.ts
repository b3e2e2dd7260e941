import { describe } from "vitest"
import { timeShopTables } from "../fixtures/user-shop.ts"
import { proveSourceChanges } from "./prove-source-changes.ts"

describe.each([
  ["beside Revenue", false],
  ["on another server", true],
])("what happens to a shop that is read as it is %s", (_where, isShopElsewhere) => {
  proveSourceChanges({ shop: timeShopTables, isShopElsewhere, settings: { SCAN_ROWS_MAX: "0" } })
})
