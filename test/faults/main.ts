import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CommanderError } from "commander"
import { type ServerKind, serverNames } from "../../services/local/database/find-server.ts"
import { runOnEach, runVitest } from "../run-vitest.ts"
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
  return runOnEach(options.servers, (kind) => runSuite(options, kind))
}

async function runSuite(options: FaultOptions, kind: ServerKind | undefined): Promise<number> {
  const startedAt = performance.now()
  const folder = await mkdtemp(join(tmpdir(), "daybook-tally-"))
  const file = join(folder, "tally.jsonl")
  try {
    const code = await runTests(options, kind, file)
    const text = await readFile(file, "utf8").catch(() => "")
    const results = text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as CaseResult)
    const seconds = Math.round((performance.now() - startedAt) / 1000)
    const server = kind ? `, ${serverNames[kind]}` : ""
    console.log(`\n${renderTable(results)}\n\n${results.length} cases in ${seconds} s, seed ${options.seed}${server}`)
    return code === 0 && summarize(results).faulty === 0 ? 0 : 1
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function runTests(options: FaultOptions, kind: ServerKind | undefined, tally: string): Promise<number> {
  const { seed, rounds, every, points, load, files } = options
  return runVitest(new URL("vitest.config.ts", import.meta.url), files, kind, {
    FAULTS_TALLY: tally,
    FAULTS_SEED: String(seed),
    FAULTS_ROUNDS: String(rounds),
    FAULTS_EVERY: String(every),
    FAULTS_POINTS: points,
    ...(load ? { FAULTS_LOAD: "1" } : {}),
  })
}
