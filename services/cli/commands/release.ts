import type { Command } from "commander"
import type { RunName } from "../run-name.ts"
import { parseRun } from "./arguments.ts"
import { type CommandLine, jsonOption, noteOption, readSendFlags, type SendFlags } from "./command-line.ts"

export function addRelease(line: CommandLine): void {
  line.program
    .command("release")
    .description("ask for a day that a check holds to be shown as it is")
    .argument("<run>", "a date (its newest run) or a run's id", parseRun)
    .addOption(noteOption())
    .addOption(jsonOption())
    .action(async (name: RunName, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { releaseDay } = await import("../release-day.ts")
      line.exit(await releaseDay(name, options, line.terminal))
    })
}
