import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { CommanderError } from "commander"
import { type FaultOptions, readFaultOptions } from "./options.ts"
import { renderTable, summarize } from "./render-tally.ts"
import type { CaseResult } from "./tally.ts"

process.exitCode = await runCommand(process.argv.slice(2))

async function runCommand(args: string[]): Promise<number> {
  let options: FaultOptions
  try {
    options = readFaultOptions(args)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
  console.log(`seed ${options.seed}, ${options.rounds} rounds of soak`)
  const startedAt = performance.now()
  const folder = await mkdtemp(join(tmpdir(), "daybook-tally-"))
  const file = join(folder, "tally.jsonl")
  try {
    const code = await runTests(options, file)
    const text = await readFile(file, "utf8").catch(() => "")
    const results = text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as CaseResult)
    const seconds = Math.round((performance.now() - startedAt) / 1000)
    console.log(`\n${renderTable(results)}\n\n${results.length} cases in ${seconds} s, seed ${options.seed}`)
    return code === 0 && summarize(results).faulty === 0 ? 0 : 1
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Returns the exit code; null if a signal ended it. */
async function runTests({ seed, rounds, every, load, files }: FaultOptions, tally: string): Promise<number | null> {
  const require = createRequire(import.meta.url)
  const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs")
  const config = fileURLToPath(new URL("vitest.config.ts", import.meta.url))
  const child = spawn(process.execPath, [vitest, "run", "--config", config, ...files], {
    stdio: "inherit",
    env: {
      ...process.env,
      FAULTS_TALLY: tally,
      FAULTS_SEED: String(seed),
      FAULTS_ROUNDS: String(rounds),
      FAULTS_EVERY: String(every),
      ...(load ? { FAULTS_LOAD: "1" } : {}),
    },
  })
  const [code] = (await once(child, "exit")) as [number | null]
  return code
}
