import { type CommandLine, jsonOption, noteOption } from "./command-line.ts"

export function addForget(line: CommandLine): void {
  line.program
    .command("forget")
    .description("erase a user, whom the shop has erased, from Revenue, the documents and the ledger")
    .argument("<user>", "the user's id, as the shop has it")
    .option("--dry-run", "only list what would be erased")
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", forgetHelp)
    .action(async (user: string, flags: { dryRun?: boolean; note?: string; json?: boolean }) => {
      const { dryRun = false, json = false, note } = flags
      const { forgetUser } = await import("../forget-user.ts")
      line.exit(await forgetUser(user, { dryRun, json, note }, line.terminal))
    })
}

const forgetHelp = `
The shop's purchases of the user go first: while it still has any of a day that would lose rows, nothing is erased. Then the
user's rows of all versions go, and the entries about the user in verdicts, audits, changes and the ledger; sentences say
"a forgotten user", and a shard that began at the user begins at the next one. Who it was is not kept: the ledger knows how
many rows went of which version, and audits say so. What cannot be erased yet, such as a date whose run is at work, is
named, and the exit code is 1: ask again.

Examples:
  npm run daybook -- forget 4711 --dry-run
  npm run daybook -- forget 4711 --note "request 2026-118"`
