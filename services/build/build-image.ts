import { existsSync } from "node:fs"
import { chmod, cp, readdir, rm } from "node:fs/promises"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { buildBundles, copyBeside, optionalPackages } from "./build-services.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

// One image for all: `node planner.cjs`, `node worker.cjs`, `node finalizer.cjs`, and once per deployment
// `node migrate.cjs`, so that the database is migrated from where it is used.
const programs = {
  planner: "services/planner/main.ts",
  worker: "services/worker/main.ts",
  finalizer: "services/finalizer/main.ts",
  page: "services/page/main.ts",
  notify: "services/notify/main.ts",
  migrate: "services/migrate/main.ts",
}

/**
 * Fills a folder with what the image holds, all of it: the bundles that the local cloud runs, their loaders and warm
 * compile cache, the packages that only some use, and the migrations. To be run where it will be used, as the user who
 * will use it: node finds what it compiled by the file's path, its own version, the processor's features and the user's
 * id, and else compiles again.
 */
export async function buildImage(outFolder: string): Promise<void> {
  const folder = resolve(outFolder)
  for (const name of await readdir(folder).catch(() => [])) await rm(join(folder, name), { recursive: true })
  const sources = Object.fromEntries(Object.entries(programs).map(([name, source]) => [name, join(root, source)]))
  await buildBundles(sources, folder)
  await Promise.all(optionalPackages.map((name) => bundlePackage(name, folder)))
  // schemas/database/migrations-folder.ts looks for them beside itself, and in the image it is migrate.bundle.cjs.
  await cp(join(root, "schemas/database/migrations"), join(folder, "migrations"), { recursive: true })
  await copyBeside(folder)
  const declaration = join(root, "schemas/shop.yaml")
  if (existsSync(declaration)) await cp(declaration, join(folder, "shop.yaml"))
  await openCompileCache(join(folder, "compile-cache"))
  // Source maps are read with --enable-source-maps only, and the bundles are not minified.
  for (const name of Object.keys(programs)) await rm(join(folder, `${name}.bundle.cjs.map`))
  await rm(join(folder, `${Object.keys(programs).join("-")}.json`))
}

/** One file where node looks for the package, instead of the package and all that it needs. */
async function bundlePackage(name: string, folder: string): Promise<void> {
  await build({
    stdin: { contents: `export * from "${name}"`, resolveDir: root },
    outfile: join(folder, "node_modules", name, "index.js"),
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    legalComments: "none",
    logLevel: "silent",
  })
}

/** Node writes it for the owner only; in the image all files belong to root, and another user runs them. */
async function openCompileCache(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await chmod(join(entry.parentPath, entry.name), 0o644)
  }
}

if (import.meta.main) {
  const [folder, ...rest] = process.argv.slice(2)
  if (folder === undefined || folder.startsWith("-") || rest.length > 0) {
    console.error("usage: node services/build/build-image.ts FOLDER (what is in it is removed)")
    process.exitCode = 1
  } else await buildImage(folder)
}
