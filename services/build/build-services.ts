import { spawn } from "node:child_process"
import { createHash, randomUUID } from "node:crypto"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { findIdiomorph } from "../page/assets-folder.ts"
import { lightenClients } from "./lighten-clients.ts"

/** What is deployed, and what the local cloud runs: for each service the file that `node` runs. */
export interface BuiltServices {
  planner: string
  worker: string
  finalizer: string
  page: string
  notify: string
}

/**
 * What only some deployments use, and would make every bundle and its start bigger for all (Cloud SQL's connector by
 * 8 MB): loaded when it is wanted, from the checkout, or from beside the bundles in the image.
 */
export const optionalPackages = [
  "@google-cloud/cloud-sql-connector",
  "@opentelemetry/exporter-metrics-otlp-proto",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-metrics",
  "@opentelemetry/sdk-trace",
]

const root = fileURLToPath(new URL("../..", import.meta.url))

const IDIOMORPH = "idiomorph.js"

// A service without settings ends at once; far beyond that, something is wrong with it.
const WARM_TIMEOUT_MS = 20_000

/**
 * Bundles the services into a folder. Does nothing if the folder is up to date. May run several times at once, and on
 * a folder whose services are running: a file is only ever replaced as a whole.
 */
export async function buildServices(outFolder = join(root, ".build")): Promise<BuiltServices> {
  const source = (service: keyof BuiltServices) => join(root, "services", service, "main.ts")
  await copyBeside(outFolder)
  return buildBundles(
    {
      planner: source("planner"),
      worker: source("worker"),
      finalizer: source("finalizer"),
      page: source("page"),
      notify: source("notify"),
    },
    outFolder,
  )
}

/** What a service reads at run time, by the folder in which it looks for it: beside the bundle that it is part of. */
const foldersBeside = {
  checks: join(root, "schemas/database/checks"),
  assets: join(root, "services/page/assets"),
}

/** Puts it there. */
export async function copyBeside(outFolder: string): Promise<void> {
  for (const [name, source] of Object.entries(foldersBeside)) await copyFolder(source, resolve(outFolder, name))
  await replaceFile(resolve(outFolder, "assets", IDIOMORPH), await readFile(findIdiomorph()))
}

async function copyFolder(source: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const names = await readdir(source)
  const gone = (await readdir(folder)).filter((name) => !names.includes(name) && name !== IDIOMORPH)
  await Promise.all(gone.map((name) => rm(join(folder, name), { force: true })))
  for (const name of names) await replaceFile(join(folder, name), await readFile(join(source, name)))
}

/** Bundles programs, by name, and returns the files to run: loaders that turn the compile cache on for the bundles. */
export async function buildBundles<Name extends string>(
  sources: Record<Name, string>,
  outFolder: string,
): Promise<Record<Name, string>> {
  const folder = resolve(outFolder)
  const names = Object.keys(sources) as Name[]
  const entries = Object.fromEntries(names.map((name) => [name, join(folder, `${name}.cjs`)])) as Record<Name, string>
  const stateFile = join(folder, `${names.join("-")}.json`)
  if (Object.values<string>(entries).every(existsSync) && (await isUpToDate(stateFile))) return entries

  await mkdir(folder, { recursive: true })
  const { files, inputs } = await bundle(sources, folder)
  // Taken before the bundles are used: a source that changes from here on is noticed by the next build.
  const state = await describeInputs(inputs)
  for (const file of files) await replaceFile(file.path, file.contents)
  for (const name of names) await replaceFile(entries[name], loader(name))
  await Promise.all(names.map((name) => warmCompileCache(name, entries[name])))
  await replaceFile(stateFile, JSON.stringify(state))
  return entries
}

/** CommonJS in one file: as ES modules, drizzle-orm and mysql2 alone take a task 700 ms to load. */
async function bundle(sources: Record<string, string>, folder: string) {
  const result = await build({
    entryPoints: Object.entries(sources).map(([name, source]) => ({ in: source, out: `${name}.bundle` })),
    outdir: folder,
    outExtension: { ".js": ".cjs" },
    absWorkingDir: root,
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    // Half as much to read at each start. Names stay, and lines stay short: stack traces can be read.
    minifyWhitespace: true,
    lineLimit: 120,
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    // Only a terminal gets readable lines, in a checkout, where the package is.
    external: ["pino-pretty", ...optionalPackages],
    // CommonJS has no import.meta.
    define: { "import.meta.url": "__bundleUrl", "import.meta.main": "true" },
    plugins: [lightenClients],
    banner: { js: 'const __bundleUrl = require("node:url").pathToFileURL(__filename).href' },
    logLevel: "silent",
  })
  return { files: result.outputFiles, inputs: Object.keys(result.metafile.inputs) }
}

/** https://nodejs.org/api/module.html#module-compile-cache */
function loader(name: string): string {
  return `require("node:module").enableCompileCache(require("node:path").join(__dirname, "compile-cache"))
require("./${name}.bundle.cjs")
`
}

/**
 * Runs a program once without its settings: it loads everything, complains and ends, and node writes down what it
 * compiled. One that cannot even be loaded is built all the same: it says why when it is run for real.
 */
async function warmCompileCache(name: string, entry: string): Promise<void> {
  const child = spawn(process.execPath, [entry], { env: { WARM_UP: "1" }, stdio: "ignore", timeout: WARM_TIMEOUT_MS })
  const [exitCode] = (await once(child, "exit")) as [number | null]
  if (exitCode === null) throw new Error(`${name} without settings should end with a complaint, but did not end`)
}

/** The files that went into a build, and a digest of what they said. */
interface BuildState {
  inputs: string[]
  digest: string
}

async function isUpToDate(stateFile: string): Promise<boolean> {
  try {
    const state = JSON.parse(await readFile(stateFile, "utf8")) as BuildState
    return (await describeInputs(state.inputs)).digest === state.digest
  } catch {
    // Never built, or a source is gone.
    return false
  }
}

/** The lockfile stands for everything in node_modules: a thousand files that nobody edits. */
async function describeInputs(inputs: string[]): Promise<BuildState> {
  const own = inputs.filter((input) => !input.includes("node_modules/"))
  const always = ["package-lock.json", relative(root, fileURLToPath(import.meta.url))]
  const files = [...new Set([...own, ...always])].toSorted()
  const hash = createHash("sha256").update(process.version)
  for (const file of files) hash.update(`\0${file}\0`).update(await readFile(resolve(root, file)))
  return { inputs: files, digest: hash.digest("hex") }
}

async function replaceFile(file: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  try {
    await writeFile(temporary, content)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

if (import.meta.main) {
  for (const entry of Object.values(await buildServices())) console.log(relative(process.cwd(), entry))
}
