import { writeFile } from "node:fs/promises"
import { CommanderError } from "commander"
import { type BenchOptions, readBenchOptions } from "./options.ts"

process.exitCode = await runCommand(process.argv.slice(2))
// The Google clients keep channels open that nobody waits for.
process.exit()

async function runCommand(args: string[]): Promise<number> {
  let options: BenchOptions
  try {
    options = readBenchOptions(args, process.env)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
  // Only now: help needs none of it.
  const { runBench } = await import("./run-bench.ts")
  const figures = await runBench(options, (line) => console.log(line))
  if (options.json) await writeFile(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
  return 0
}
