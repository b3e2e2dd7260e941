import { Command } from "commander"
import { describeError } from "../../shared/errors.ts"
import { applyTopology, type Change } from "./apply-topology.ts"
import { refuseBreakingSchemas } from "./refuse-breaking.ts"
import { describeTopology } from "./topology.ts"

interface Options {
  project: string
  plannerUrl: string
  finalizerUrl: string
  notifyUrl?: string
  pushAccount?: string
  dryRun?: boolean
}

/** One line for a change, as a person reads it. */
export function describeChange(change: Change): string {
  const fields = change.fields.length > 0 ? ` (${change.fields.join(", ")})` : ""
  return `${change.action} ${change.kind} ${change.name}${fields}`
}

async function provision(options: Options): Promise<void> {
  const settings = { GOOGLE_CLOUD_PROJECT: options.project, PUBSUB_EMULATOR_HOST: process.env.PUBSUB_EMULATOR_HOST }
  const topology = describeTopology({
    plannerUrl: options.plannerUrl,
    finalizerUrl: options.finalizerUrl,
    ...(options.notifyUrl ? { notifyUrl: options.notifyUrl } : {}),
    ...(options.pushAccount ? { pushServiceAccount: options.pushAccount } : {}),
  })
  await refuseBreakingSchemas(settings, topology.schemas)
  const changes = await applyTopology(settings, topology, { dryRun: options.dryRun ?? false })
  for (const change of changes) console.log(`${options.dryRun ? "would " : ""}${describeChange(change)}`)
  if (changes.length === 0) console.log("up to date")
}

/** Brings the topics, schemas and subscriptions of a project to what this version of Daybook needs. */
async function main(): Promise<number> {
  const command = new Command("provision")
    .description("Creates or updates Daybook's schemas, topics and subscriptions. May be repeated at any time.")
    .requiredOption("--project <id>", "the Google Cloud project")
    .requiredOption("--planner-url <url>", "where the planner answers")
    .requiredOption("--finalizer-url <url>", "where the finalizer answers")
    .option("--notify-url <url>", "where the notifier answers; without it, nobody is notified")
    .option("--push-account <email>", "the service account that pushes say they come from; without it, nobody")
    .option("--dry-run", "only say what would change")
    .parse()
  try {
    await provision(command.opts<Options>())
    return 0
  } catch (error) {
    console.error(describeError(error))
    return 1
  }
}

// The Google clients keep channels open that nobody waits for.
if (import.meta.main) process.exit(await main())
