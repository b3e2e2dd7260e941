import { type Command, Option } from "commander"
import type { DayState } from "../../shared/webhook/describe-change.ts"
import type { Terminal } from "./terminal.ts"

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

/** Adds `daybook notify` to the command line. */
export function addNotifyCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  program
    .command("notify")
    .description("send a sample notification to NOTIFY_URL and show the answer")
    .requiredOption("--test", "send a sample, which says that it is one")
    .addOption(new Option("--state <state>", "of which state").choices(states).default("late"))
    .option("--json", "print one JSON document instead of text")
    .addHelpText("after", notifyHelp)
    .action(async ({ state, json = false }: { state: DayState; json?: boolean }) => {
      const { sendSample } = await import("./send-sample.ts")
      exit(await sendSample(state, json, terminal))
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
  GOOGLE_CLOUD_PROJECT    the project of the topics
  PUBSUB_EMULATOR_HOST    of a local cloud: the receiver may be http:// on this machine

Examples:
  npm run daybook -- notify --test
  NOTIFY_FORMAT=text npm run daybook -- notify --test --state drifted`
