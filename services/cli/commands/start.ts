import type { Command } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField } from "./arguments.ts"
import { type CommandLine, jsonOption, noteOption, type SendFlags, send, timeoutOption } from "./command-line.ts"

export function addStart(line: CommandLine): void {
  line.program
    .command("start")
    .description("ask for one date to be computed")
    .argument(
      "<date>",
      "YYYY-MM-DD, or yesterday (in the planner's time zone)",
      parseField(requestFields.dateOrYesterday),
    )
    .option("--wait", "show progress until the verdict; exit 0 only if it is complete")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", startHelp)
    .action((date: string, flags: SendFlags, command: Command) => send({ do: "start", date }, flags, command, line))
}

const startHelp = `
Examples:
  npm run daybook -- start 2026-11-22
  npm run daybook -- start yesterday --wait --timeout 600
  npm run daybook -- start 2026-11-22 --wait --json`
