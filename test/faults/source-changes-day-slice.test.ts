import { describe } from "vitest"
import { shopTables } from "../fixtures/test-database.ts"
import { proveSourceChanges } from "./prove-source-changes.ts"

describe.each([
  ["beside Revenue", false],
  ["on another server", true],
])("what happens to a shop with an index of the day's slice %s", (_where, isShopElsewhere) => {
  proveSourceChanges({ shop: shopTables, isShopElsewhere })
})
