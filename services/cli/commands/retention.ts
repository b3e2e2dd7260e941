import { type CommandLine, jsonOption } from "./command-line.ts"

export function addRetention(line: CommandLine): void {
  line.program
    .command("retention")
    .description("delete what is older than RETENTION_DAYS and not behind anything that readers see")
    .option("--dry-run", "only list it")
    .addOption(jsonOption())
    .addHelpText("after", retentionHelp)
    .action(async ({ dryRun = false, json = false }: { dryRun?: boolean; json?: boolean }) => {
      const { applyRetention } = await import("../delete-by-retention.ts")
      line.exit(await applyRetention({ dryRun, json }, line.terminal))
    })
}

const retentionHelp = `
Ledger rows and documents of runs decided more than RETENTION_DAYS ago (400; 0 keeps them for ever) are deleted, if their
Revenue rows are gone already. Never the run that readers see, the newest of a date, or the newest audit of a date. The
finalizer's sweep does the same by itself.

Examples:
  npm run daybook -- retention --dry-run
  RETENTION_DAYS=90 npm run daybook -- retention --dry-run --json`
