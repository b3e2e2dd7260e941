import type { Command } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField } from "./arguments.ts"
import { type CommandLine, jsonOption, noteOption, type SendFlags, send, timeoutOption } from "./command-line.ts"

export function addRerun(line: CommandLine): void {
  line.program
    .command("rerun")
    .description("ask for shards of an incomplete run to be computed again")
    .argument("<run>", "a date (its newest run) or a run's id", parseField(requestFields.run))
    .option(
      "--shards <indexes>",
      "such as 3,7; without it all that the verdict found wanting",
      parseField(requestFields.shards),
    )
    .option("--wait", "show progress until the new verdict; exit 0 only if it is complete")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", rerunHelp)
    .action((run: string, { shards, ...flags }: SendFlags & { shards?: number[] }, command: Command) =>
      send({ do: "rerun", run, shards }, flags, command, line),
    )
}

const rerunHelp = `
Examples:
  npm run daybook -- rerun 2026-11-22
  npm run daybook -- rerun 2026-11-22-1234567890 --shards 3,7 --wait`
