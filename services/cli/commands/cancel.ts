import type { Command } from "commander"
import { parseRunOrBackfill } from "./arguments.ts"
import { type CommandLine, jsonOption, noteOption, type SendFlags, send } from "./command-line.ts"

export function addCancel(line: CommandLine): void {
  line.program
    .command("cancel")
    .description("ask for a run that waits, is planned or is computed, or for a backfill, to be given up")
    .argument("<run>", "a date (its newest run), a run's id, or a backfill's", parseRunOrBackfill)
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", cancelHelp)
    .action((name: { run: string } | { backfill: string }, flags: SendFlags, command: Command) =>
      send({ do: "cancel", ...name }, flags, command, line),
    )
}

const cancelHelp = `
Nothing is written under the run's version any more, its execution is cancelled, and readers see what they saw. A run that
is being verified, or has its verdict, is not cancelled: the request is rejected.

Examples:
  npm run daybook -- cancel 2026-11-22 --note "the shop is being restored"
  npm run daybook -- status 2026-11-22`
