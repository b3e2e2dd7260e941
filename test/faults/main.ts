import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { renderTable, summarize } from "./render-tally.ts"
import type { CaseResult } from "./tally.ts"

/*
 * npm run test:faults [-- options] [words in the names of test files]
 *
 *   --seed N      repeats what is random; otherwise a seed is drawn and printed
 *   --rounds N    rounds of the random soak, each of three dates at once (12)
 *   --every N     every n-th crash point only; 0 tries those too that are the same as others
 *   --load        the load instead of the faults
 */

const { values, positionals } = parseArgs({
  options: {
    seed: { type: "string" },
    rounds: { type: "string" },
    every: { type: "string" },
    load: { type: "boolean", default: false },
  },
  allowPositionals: true,
})

const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000))
// One seed that is asked for is one round, unless more are.
const rounds = values.rounds ?? (values.seed === undefined ? "12" : "1")
const folder = await mkdtemp(join(tmpdir(), "daybook-tally-"))
const file = join(folder, "tally.jsonl")
console.log(`seed ${seed}, ${rounds} rounds of soak`)

const require = createRequire(import.meta.url)
const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs")
const config = fileURLToPath(new URL("vitest.config.ts", import.meta.url))
const child = spawn(process.execPath, [vitest, "run", "--config", config, ...positionals], {
  stdio: "inherit",
  env: {
    ...process.env,
    FAULTS_TALLY: file,
    FAULTS_SEED: seed,
    FAULTS_ROUNDS: rounds,
    ...(values.every === undefined ? {} : { FAULTS_EVERY: values.every }),
    ...(values.load ? { FAULTS_LOAD: "1" } : {}),
  },
})
const [code] = (await once(child, "exit")) as [number | null]

const text = await readFile(file, "utf8").catch(() => "")
const results = text
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line) as CaseResult)
await rm(folder, { recursive: true, force: true })
console.log(`\n${renderTable(results)}\n\nseed ${seed}: repeat with npm run test:faults -- --seed ${seed}`)
process.exitCode = code === 0 && summarize(results).faulty === 0 ? 0 : 1
