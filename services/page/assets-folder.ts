import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

/** Where the page's files for the browser are: beside this file, and in the image beside the bundle that it became part of. */
export const assetsFolder = fileURLToPath(new URL("assets", import.meta.url))

/** Updates a page in place: https://github.com/bigskysoftware/idiomorph; in the image beside the others. */
export function findIdiomorph(): string {
  const copied = `${assetsFolder}/idiomorph.js`
  return existsSync(copied) ? copied : createRequire(import.meta.url).resolve("idiomorph/dist/idiomorph.min.js")
}
