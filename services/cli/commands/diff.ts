import type { Command } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField, parseVersion } from "./arguments.ts"
import { type CommandLine, jsonOption } from "./command-line.ts"

export function addDiff(line: CommandLine): void {
  line.program
    .command("diff")
    .description("show which users' revenue differs between two versions of a date")
    .argument("<date>", "YYYY-MM-DD", parseField(requestFields.date))
    .argument("[before]", "a version; by default the newest below the other", parseVersion)
    .argument("[after]", "a version; by default the one that readers see", parseVersion)
    .option("--all", "print every user who differs, a line of JSON each, instead of the twenty who differ most")
    .addOption(jsonOption())
    .addHelpText("after", diffHelp)
    .action(
      async (
        date: string,
        before: number | undefined,
        after: number | undefined,
        flags: { all?: boolean; json?: boolean },
        command: Command,
      ) => {
        if (before !== undefined && after === undefined) command.error("error: name both versions or none")
        const { all = false, json = false } = flags
        const versions = before === undefined || after === undefined ? undefined : { before, after }
        const { diffVersions } = await import("../diff-versions.ts")
        line.exit(await diffVersions(date, versions, { all, json }, line.terminal))
      },
    )
}

const diffHelp = `
Exits 0 whether or not anything differs. The rows of the newest KEEP_VERSIONS versions of a date are there.

Examples:
  npm run daybook -- diff 2026-11-22
  npm run daybook -- diff 2026-11-22 1 3
  npm run -s daybook -- diff 2026-11-22 --all | jq -r .userId`
