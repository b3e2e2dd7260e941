import type { Command } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField } from "./arguments.ts"
import { type CommandLine, jsonOption, noteOption, type SendFlags, send } from "./command-line.ts"

export function addRelease(line: CommandLine): void {
  line.program
    .command("release")
    .description("ask for a day that a check holds to be shown as it is")
    .argument("<run>", "a date (its newest run) or a run's id", parseField(requestFields.run))
    .addOption(noteOption())
    .addOption(jsonOption())
    .action((run: string, flags: SendFlags, command: Command) => send({ do: "release", run }, flags, command, line))
}
