import { ExecutionsClient, JobsClient } from "@google-cloud/run"
import { credentials } from "@grpc/grpc-js"

export interface RunSettings {
  GOOGLE_CLOUD_PROJECT: string
  /** host:port of a local cloud. */
  RUN_EMULATOR_HOST?: string | undefined
}

/** The client that starts executions of a job. */
export function openJobs(settings: RunSettings): JobsClient {
  return new JobsClient(clientOptions(settings))
}

/** The client that looks executions up. */
export function openExecutions(settings: RunSettings): ExecutionsClient {
  return new ExecutionsClient(clientOptions(settings))
}

function clientOptions(settings: RunSettings) {
  const endpoint = settings.RUN_EMULATOR_HOST
  if (!endpoint) return {}
  const [host = "", port = ""] = endpoint.split(":")
  return {
    projectId: settings.GOOGLE_CLOUD_PROJECT,
    apiEndpoint: host,
    port: Number(port),
    sslCreds: credentials.createInsecure(),
    // Without it the client asks a metadata server which universe it is in, even for a local one.
    clientOptions: { universe_domain: "googleapis.com" },
  }
}
