import type { Command } from "commander"
import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseDates } from "./arguments.ts"
import {
  type CommandLine,
  jsonOption,
  noteOption,
  readSendFlags,
  type SendFlags,
  timeoutOption,
} from "./command-line.ts"

export function addAudit(line: CommandLine): void {
  line.program
    .command("audit")
    .description("ask for published days to be compared with the shop as it is now")
    .argument("<dates>", "YYYY-MM-DD, yesterday, or FROM..TO", parseDates(requestFields.dateOrYesterday))
    .option("--wait", "show progress until all are audited; exit 0 only if none has drifted")
    .addOption(timeoutOption())
    .addOption(noteOption())
    .addOption(jsonOption())
    .addHelpText("after", auditHelp)
    .action(async (dates: { from: string; to: string }, flags: SendFlags, command: Command) => {
      const options = readSendFlags(flags, command)
      const { auditDays } = await import("../audit-days.ts")
      line.exit(await auditDays({ do: "audit", ...dates }, options, line.terminal))
    })
}

const auditHelp = `
Only what readers see is audited: dates without a complete verdict are passed over. Nothing is changed but what is known
of the days; a day of the last REPAIR_DAYS that has drifted is started anew by itself.

Examples:
  npm run daybook -- audit 2026-11-22 --wait
  npm run daybook -- audit 2026-11-01..2026-11-22`
