// The flags of every gcloud command that the build and the bootstrap use, as the command's reference page lists them:
// https://cloud.google.com/sdk/gcloud/reference/ and the command's words, separated by slashes.

const words = (text: string) => text.split(" ").filter(Boolean)

const anywhere = words("project quiet format")
const container = "args command cpu memory image labels set-env-vars set-secrets"
const network = "network subnet network-tags vpc-egress vpc-connector"
const job = "tasks parallelism max-retries task-timeout service-account execute-now wait async"
const service =
  "allow-unauthenticated no-allow-unauthenticated default-url no-default-url ingress timeout concurrency " +
  "iap no-iap min-instances max-instances cpu-boost cpu-throttling port service-account"
const pubsubJob = "location schedule time-zone topic message-body description"
const httpJob =
  "location schedule uri http-method attempt-deadline oidc-service-account-email oidc-token-audience description"

const flags: Record<string, string> = {
  "run deploy": `region ${container} ${network} ${service}`,
  "run services describe": "region",
  "run services get-iam-policy": "region",
  "run services add-iam-policy-binding": "region member role",
  "run jobs create": `region ${container} ${network} ${job}`,
  "run jobs deploy": `region ${container} ${network} ${job}`,
  "run jobs describe": "region",
  "run jobs execute": "region args async tasks task-timeout update-env-vars wait",
  "run jobs add-iam-policy-binding": "region member role",
  "projects describe": "",
  "projects add-iam-policy-binding": "member role condition condition-from-file",
  "services enable": "async",
  "beta services identity create": "service",
  "iam service-accounts create": "description display-name",
  "iam service-accounts describe": "",
  "iam service-accounts add-iam-policy-binding": "member role condition",
  "iam roles create": "title description permissions stage file",
  "iam roles describe": "",
  "storage buckets create":
    "location uniform-bucket-level-access public-access-prevention soft-delete-duration default-storage-class " +
    "lifecycle-file",
  "storage buckets describe": "",
  "storage buckets update": "versioning lifecycle-file soft-delete-duration update-labels",
  "storage buckets add-iam-policy-binding": "member role condition",
  "artifacts repositories create": "location repository-format description immutable-tags labels",
  "artifacts repositories describe": "location",
  "artifacts repositories add-iam-policy-binding": "location member role",
  "secrets create": "replication-policy locations data-file labels",
  "secrets describe": "",
  "secrets add-iam-policy-binding": "member role condition",
  "pubsub topics create": "schema message-encoding labels message-retention-duration",
  "pubsub topics describe": "",
  "pubsub topics add-iam-policy-binding": "member role",
  "scheduler jobs describe": "location",
  "scheduler jobs create pubsub": `${pubsubJob} attributes`,
  "scheduler jobs update pubsub": `${pubsubJob} update-attributes clear-attributes remove-attributes`,
  "scheduler jobs create http": httpJob,
  "scheduler jobs update http": httpJob,
  "logging metrics create": "config-from-file description log-filter",
  "logging metrics describe": "",
  "monitoring dashboards list": "filter limit",
  "monitoring dashboards create": "config config-from-file validate-only",
  "monitoring dashboards update": "config config-from-file",
  "monitoring policies list": "filter limit",
  "monitoring policies create": "policy-from-file policy notification-channels",
  "monitoring policies update": "policy-from-file policy set-notification-channels fields",
}

/** A gcloud command line, taken apart. */
export interface Gcloud {
  command: string
  /** What is neither the command nor a flag. */
  names: string[]
  /** A flag given without a value has the value "". */
  flags: Record<string, string>
}

/** Takes a command line of gcloud apart; throws if the command, or a flag of it, is not in Google's reference. */
export function parseGcloud(given: string[]): Gcloud {
  const plain = given.filter((word) => !word.startsWith("--"))
  const command = Object.keys(flags)
    .toSorted((a, b) => b.length - a.length)
    .find((known) => `${plain.join(" ")} `.startsWith(`${known} `))
  if (!command) throw new Error(`gcloud has no command that the reference lists in: gcloud ${given.join(" ")}`)
  const found: Record<string, string> = {}
  for (const word of given.filter((word) => word.startsWith("--"))) {
    const [, name = "", value = ""] = /^--([^=]+)=?([^]*)$/.exec(word) ?? []
    if (![...words(flags[command] ?? ""), ...anywhere].includes(name))
      throw new Error(`gcloud ${command} has no --${name}`)
    if (name in found) throw new Error(`gcloud ${command} is given --${name} twice`)
    found[name] = value
  }
  return { command, names: plain.slice(command.split(" ").length), flags: found }
}
