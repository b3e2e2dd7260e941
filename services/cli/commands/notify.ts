import { Option } from "commander"
import type { DayState } from "../../../shared/webhook/describe-change.ts"
import { type CommandLine, jsonOption } from "./command-line.ts"

// Not those of describe-change.ts themselves: --help would load drizzle for them.
const states: DayState[] = [
  "late",
  "held",
  "incomplete",
  "drifted",
  "arrived",
  "shown",
  "shown-anew",
  "repaired",
  "erased",
]

export function addNotify(line: CommandLine): void {
  line.program
    .command("notify")
    .description("send a sample notification to NOTIFY_URL and show the answer")
    .requiredOption("--test", "send a sample, which says that it is one")
    .addOption(new Option("--state <state>", "of which state").choices(states).default("late"))
    .addOption(jsonOption())
    .addHelpText("after", notifyHelp)
    .action(async ({ state, json = false }: { state: DayState; json?: boolean }) => {
      const { sendSample } = await import("../send-sample.ts")
      line.exit(await sendSample(state, json, line.terminal))
    })
}

const notifyHelp = `
It is sent from this machine, straight to the receiver: no other subscriber of day-changes sees it. Exits 0 if the receiver
answers with 2xx.

Environment, as of the service (services/notify/README.md):
  NOTIFY_URL              where it is posted
  NOTIFY_SECRETS          the signing key, or two separated by a space
  NOTIFY_FORMAT           cloudevents, or text for a chat
  NOTIFY_ALLOW_PRIVATE    1: the receiver may have a private address
  PAGE_URL                the address of the page of the days, for the link
  SHOP_FILE               the declaration of the shop's tables, for the decimals of amounts
  GOOGLE_CLOUD_PROJECT    the project of the topics
  PUBSUB_EMULATOR_HOST    of a local cloud: the receiver may be http:// on this machine

Examples:
  npm run daybook -- notify --test
  NOTIFY_FORMAT=text npm run daybook -- notify --test --state drifted`
