import { execFile } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterEach, beforeEach, expect, test } from "vitest"
import { buildBundles } from "../../services/build/build-services.ts"

const run = promisify(execFile)

let folder: string
let source: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-build-"))
  source = join(folder, "main.ts")
  await writeFile(join(folder, "word.ts"), `export const word: string = "first"\n`)
  await writeFile(
    source,
    `import { readFileSync } from "node:fs"
import { word } from "./word.ts"
const beside = new URL("beside.txt", import.meta.url)
if (import.meta.main) console.log(word, process.env.LOUD ? readFileSync(beside, "utf8") : "")
`,
  )
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test("a bundle is one CommonJS program that finds what lies beside it and has its compile cache warm", async () => {
  const { program } = await buildBundles({ program: source }, join(folder, "out"))
  await writeFile(join(folder, "out", "beside.txt"), "and beside")
  const { stdout } = await run(process.execPath, [program], { env: { LOUD: "yes" } })
  expect(stdout).toBe("first and beside\n")
  const cached = await readdir(join(folder, "out", "compile-cache"), { recursive: true })
  expect(cached.length).toBeGreaterThan(1)
})

test("it is built again when a source has changed, and only then", async () => {
  const out = join(folder, "out")
  const { program } = await buildBundles({ program: source }, out)
  const built = await stat(join(out, "program.bundle.cjs"))
  await buildBundles({ program: source }, out)
  expect((await stat(join(out, "program.bundle.cjs"))).ino).toBe(built.ino)
  await writeFile(join(folder, "word.ts"), `export const word: string = "second"\n`)
  await buildBundles({ program: source }, out)
  expect((await run(process.execPath, [program])).stdout).toBe("second \n")
})

test("builds at the same time do not disturb each other, and leave nothing but their result", async () => {
  const out = join(folder, "out")
  const builds = Array.from({ length: 3 }, () => buildBundles({ one: source, two: source }, out))
  const programs = await Promise.all(builds)
  for (const program of Object.values(programs[0] ?? {})) {
    expect((await run(process.execPath, [program])).stdout).toBe("first \n")
  }
  expect((await readdir(out)).toSorted()).toEqual([
    "compile-cache",
    "one-two.json",
    "one.bundle.cjs",
    "one.bundle.cjs.map",
    "one.cjs",
    "two.bundle.cjs",
    "two.bundle.cjs.map",
    "two.cjs",
  ])
})

test("a source that cannot be built is told, and what was built before stays", async () => {
  const out = join(folder, "out")
  const { program } = await buildBundles({ program: source }, out)
  const before = await readFile(join(out, "program.bundle.cjs"))
  await writeFile(join(folder, "word.ts"), "export const nothing = 1\n")
  await expect(buildBundles({ program: source }, out)).rejects.toThrow('No matching export in "')
  expect(await readFile(join(out, "program.bundle.cjs"))).toEqual(before)
  expect((await run(process.execPath, [program])).stdout).toBe("first \n")
})
