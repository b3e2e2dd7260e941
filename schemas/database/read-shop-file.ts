import { readFileSync } from "node:fs"
import { parseShopDeclaration } from "./shop-declaration.ts"
import { layOutShop, plainLayout, type ShopLayout } from "./shop-layout.ts"

/** The layout that a SHOP_FILE comes to, or that of a shop without one. Throws an Error that names what is wrong in it. */
export function readShopFile(file: string | undefined): ShopLayout {
  return file ? layOutShop(parseShopDeclaration(readFileSync(file, "utf8"))) : plainLayout
}
