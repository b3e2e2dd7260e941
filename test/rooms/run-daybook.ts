import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const execute = promisify(execFile)
const cli = fileURLToPath(new URL("../../services/cli/main.ts", import.meta.url))

interface Answer {
  code: number
  stdout: string
  stderr: string
}

/** Types a command line of daybook as a person would, in a process of its own; whatever it exits with, it is told. */
export async function runDaybook(env: Record<string, string>, ...args: string[]): Promise<Answer> {
  const options = { env: { PATH: process.env["PATH"], ...env } }
  return execute(process.execPath, [cli, ...args], options).then(
    (output) => ({ code: 0, ...output }),
    (error: Answer) => error,
  )
}
