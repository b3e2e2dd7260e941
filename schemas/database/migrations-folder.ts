import { fileURLToPath } from "node:url"

/** Where the migrations are: beside this file, and in the image beside the bundle that it became part of. */
export const migrationsFolder = fileURLToPath(new URL("migrations", import.meta.url))
