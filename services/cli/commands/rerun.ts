import type { Command } from "commander"
import type { RunName } from "../run-name.ts"
import { parseRun, parseShards } from "./arguments.ts"
import {
  type CommandLine,
  jsonOption,
  noteOption,
  readSendFlags,
  type SendFlags,
  timeoutOption,
} from "./command-line.ts"

export function addRerun(line: CommandLine): void {
  line.program
    .command("rerun")
    .description("ask for shards of an incomplete run to be computed again")
    .argument("<run>", "a date (its newest run) or a run's id", parseRun)
    .option("--shards <indexes>", "such as 3,7; without it all that the verdict found wanting", parseShards)
    .option("--wait", "show progress until the new verdict; exit 0 only if it is complete")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", rerunHelp)
    .action(async (name: RunName, flags: SendFlags & { shards?: number[] }, command: Command) => {
      const options = readSendFlags(flags, command)
      const { rerunShards } = await import("../rerun-shards.ts")
      line.exit(await rerunShards(name, flags.shards ?? [], options, line.terminal))
    })
}

const rerunHelp = `
Examples:
  npm run daybook -- rerun 2026-11-22
  npm run daybook -- rerun 2026-11-22-1234567890 --shards 3,7 --wait`
