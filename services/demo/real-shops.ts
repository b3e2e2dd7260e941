import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/*
 * Shops with the tables of real software, in test/shops: a folder has the declaration (shop.yaml), tables with rows
 * (shop.sql), the truth of one date as a plain statement (truth.sql), and the time zone in which that is a day, if not UTC.
 */

const folder = fileURLToPath(new URL("../../test/shops", import.meta.url))

/** The date of which they know the truth. */
export const REAL_SHOP_DATE = "2026-11-22"

/** About how many purchases that date has, in each. */
export const REAL_SHOP_PURCHASES = 6_000

/** Small, so that there is something to see. */
export const REAL_SHOP_SHARD_PURCHASES = 400

/** What there is to be shown. */
export function listRealShops(): string[] {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

export const realShopFolder = (name: string) => join(folder, name)

export const realShopFile = (name: string) => join(folder, name, "shop.yaml")

export function realShopTimeZone(name: string): string {
  const file = join(folder, name, "time-zone")
  return existsSync(file) ? readFileSync(file, "utf8").trim() : "UTC"
}
