import { fileURLToPath } from "node:url"

/** Where the checks are: beside this file, and in the image beside the bundle that it became part of. */
export const checksFolder = fileURLToPath(new URL("checks", import.meta.url))
