import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"

/*
 * A job in the form of Knative, as `gcloud run jobs create|update|deploy|replace` write it, to the form of v2, and its parts
 * back: https://cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs#Job
 */

type Json = Record<string, unknown>

/** Says who wrote it; v2 has fields of its own for two of them. */
const CLIENT_NAME = "run.googleapis.com/client-name"
const CLIENT_VERSION = "run.googleapis.com/client-version"
const WITHOUT_EFFECT =
  /^(client\.knative\.dev\/|run\.googleapis\.com\/(client-|launch-stage$|creator$|lastModifier$|operation-id$|execution-environment$|last-modified$))|^serving\.knative\.dev\/|^cloud\.googleapis\.com\/location$|^run\.googleapis\.com\/lastUpdatedTime$/
const SYSTEM = /^[^/]*(googleapis\.com|knative\.dev)\//

export function fromV1Job(body: unknown): Json {
  const { metadata = {}, spec = {} } = body as { metadata?: Json; spec?: { template?: Json } }
  const { metadata: about = {}, spec: execution = {} } = (spec.template ?? {}) as { metadata?: Json; spec?: Json }
  const task = ((execution["template"] as Json | undefined)?.["spec"] ?? {}) as Json
  const annotations = (metadata["annotations"] ?? {}) as Record<string, string>
  return withoutUndefined({
    labels: ownOf(metadata["labels"]),
    annotations: ownOf(annotations),
    client: annotations[CLIENT_NAME],
    clientVersion: annotations[CLIENT_VERSION],
    template: withoutUndefined({
      labels: ownOf(about["labels"]),
      annotations: ownOf(about["annotations"]),
      taskCount: execution["taskCount"],
      parallelism: execution["parallelism"],
      template: withoutUndefined({
        containers: ((task["containers"] ?? []) as Json[]).map(fromV1Container),
        // Refused by v2, in its words.
        volumes: task["volumes"],
        maxRetries: task["maxRetries"],
        timeout: task["timeoutSeconds"] === undefined ? undefined : `${task["timeoutSeconds"] as string}s`,
        serviceAccount: task["serviceAccountName"],
      }),
    }),
  })
}

/** What is the user's own. What is the system's and has an effect that there is not here, is refused. */
function ownOf(given: unknown): Json {
  const all = Object.entries((given ?? {}) as Json).filter(([key]) => !WITHOUT_EFFECT.test(key))
  const system = all.find(([key]) => SYSTEM.test(key))
  if (system) {
    throw new StatusError(status.UNIMPLEMENTED, `The local Cloud Run does not offer the annotation ${system[0]}`)
  }
  return Object.fromEntries(all)
}

function fromV1Container(container: Json): Json {
  const { name, image, command, args, workingDir, resources, ports, volumeMounts, startupProbe, livenessProbe } =
    container
  return withoutUndefined({
    name,
    image,
    command,
    args,
    workingDir,
    ports,
    volumeMounts,
    startupProbe,
    livenessProbe,
    resources: resources && { limits: (resources as Json)["limits"] },
    env: ((container["env"] ?? []) as Json[]).map(fromV1Variable),
  })
}

function fromV1Variable({ name, value, valueFrom }: Json): Json {
  const secret = (valueFrom as { secretKeyRef?: { name?: string; key?: string } } | undefined)?.secretKeyRef
  if (!secret) return withoutUndefined({ name, value })
  return { name, valueSource: { secretKeyRef: { secret: secret.name, version: secret.key ?? "latest" } } }
}

/** A container of v2 in the form of v1. */
export function toV1Container(container: Json): Json {
  const { name, image, command, args, workingDir, resources, env } = container
  return withoutUndefined({
    name: name === "" ? undefined : name,
    image,
    command,
    args,
    workingDir,
    resources: resources && { limits: (resources as Json)["limits"] },
    env: ((env ?? []) as Json[]).map(({ name: variable, value, valueSource }) => {
      const secret = (valueSource as { secretKeyRef?: { secret?: string; version?: string } } | undefined)?.secretKeyRef
      if (!secret) return { name: variable, value: value ?? "" }
      return { name: variable, valueFrom: { secretKeyRef: { name: secret.secret, key: secret.version } } }
    }),
  })
}

const withoutUndefined = (json: Json): Json =>
  Object.fromEntries(Object.entries(json).filter(([, value]) => value !== undefined))
