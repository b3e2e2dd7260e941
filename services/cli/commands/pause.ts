import type { Command } from "commander"
import { type CommandLine, jsonOption, noteOption, readSendFlags, type SendFlags } from "./command-line.ts"

export function addPause(line: CommandLine): void {
  line.program
    .command("pause")
    .description("ask for everything, or a backfill, to pause: shards at work are finished, and no other is claimed")
    .argument("[backfill]", "only this backfill")
    .option("--until <time>", "RFC 3339, such as 2026-11-22T18:00:00Z; without it until it is resumed")
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", pauseHelp)
    .action(async (backfillId: string | undefined, flags: SendFlags & { until?: string }, command: Command) => {
      const { until, ...others } = flags
      const options = readSendFlags(others, command)
      const { pauseAll } = await import("../pause-all.ts")
      line.exit(await pauseAll({ paused: true, until, backfillId }, options, line.terminal))
    })
}

export function addResume(line: CommandLine): void {
  line.program
    .command("resume")
    .description("ask for everything, or a backfill, to go on")
    .argument("[backfill]", "only this backfill")
    .addOption(noteOption())
    .addOption(jsonOption())
    .action(async (backfillId: string | undefined, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { pauseAll } = await import("../pause-all.ts")
      line.exit(await pauseAll({ paused: false, backfillId }, options, line.terminal))
    })
}

const pauseHelp = `
It holds whatever is restarted meanwhile; "status" says since when, by whom, and how many tasks still have a shard. Requests
are taken, and their runs wait.

Examples:
  npm run daybook -- pause --until 2026-11-22T18:00:00Z --note "the sale"
  npm run daybook -- resume`
