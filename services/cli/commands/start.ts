import type { Command } from "commander"
import { parseDate } from "./arguments.ts"
import {
  type CommandLine,
  jsonOption,
  noteOption,
  readSendFlags,
  type SendFlags,
  timeoutOption,
} from "./command-line.ts"

export function addStart(line: CommandLine): void {
  line.program
    .command("start")
    .description("ask for one date to be computed")
    .argument("<date>", "YYYY-MM-DD, or yesterday (in the planner's time zone)", parseDate)
    .option("--wait", "show progress until the verdict; exit 0 only if it is complete")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", startHelp)
    .action(async (date: string, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { startRun } = await import("../start-run.ts")
      line.exit(await startRun(date, options, line.terminal))
    })
}

const startHelp = `
Examples:
  npm run daybook -- start 2026-11-22
  npm run daybook -- start yesterday --wait --timeout 600
  npm run daybook -- start 2026-11-22 --wait --json`
