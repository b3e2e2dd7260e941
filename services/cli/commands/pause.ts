import type { Command } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField } from "./arguments.ts"
import { type CommandLine, jsonOption, noteOption, type SendFlags, send } from "./command-line.ts"

export function addPause(line: CommandLine): void {
  line.program
    .command("pause")
    .description("ask for everything, or a backfill, to pause: shards at work are finished, and no other is claimed")
    .argument("[backfill]", "only this backfill", parseField(requestFields.backfill))
    .option(
      "--until <time>",
      "RFC 3339, such as 2026-11-22T18:00:00Z; without it until it is resumed",
      parseField(requestFields.until),
    )
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", pauseHelp)
    .action((backfill: string | undefined, { until, ...flags }: SendFlags & { until?: string }, command: Command) =>
      send({ do: "pause", backfill, until }, flags, command, line),
    )
}

export function addResume(line: CommandLine): void {
  line.program
    .command("resume")
    .description("ask for everything, or a backfill, to go on")
    .argument("[backfill]", "only this backfill", parseField(requestFields.backfill))
    .addOption(noteOption())
    .addOption(jsonOption())
    .action((backfill: string | undefined, flags: SendFlags, command: Command) =>
      send({ do: "resume", backfill }, flags, command, line),
    )
}

const pauseHelp = `
It holds whatever is restarted meanwhile; "status" says since when, by whom, and how many tasks still have a shard. Requests
are taken, and their runs wait.

Examples:
  npm run daybook -- pause --until 2026-11-22T18:00:00Z --note "the sale"
  npm run daybook -- resume`
