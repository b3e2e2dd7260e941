import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import { ConfigurationError, describeError } from "../../shared/errors.ts"

/** Something that the person who typed the command can put right; the text says how. */
export class CommandError extends Error {
  override readonly name = "CommandError"
}

/** One clear sentence about what went wrong and what to do; never a stack trace. */
export function explainError(error: unknown, env: NodeJS.ProcessEnv): string {
  if (error instanceof CommandError || error instanceof ConfigurationError) return error.message
  return (
    (env["DATABASE_URL"] ? explainDatabaseError(error, env["DATABASE_URL"]) : undefined) ??
    explainGoogleError(error, env) ??
    `It did not work: ${describeError(error)}`
  )
}

const grpc = { deadlineExceeded: 4, notFound: 5, permissionDenied: 7, unavailable: 14, unauthenticated: 16 }

function explainGoogleError(error: unknown, env: NodeJS.ProcessEnv): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  const said = describeError(error)
  const project = env["GOOGLE_CLOUD_PROJECT"]
  const pubsub = env["PUBSUB_EMULATOR_HOST"]
  const storage = env["STORAGE_EMULATOR_HOST"]
  if (/default credentials/i.test(said)) {
    return "There are no Google credentials: run gcloud auth application-default login, or for a local cloud set PUBSUB_EMULATOR_HOST and STORAGE_EMULATOR_HOST."
  }
  switch (code) {
    case grpc.notFound:
      return `Pub/Sub lacks it in the project ${project} (${said}): provision Daybook's topics, or correct GOOGLE_CLOUD_PROJECT.`
    case grpc.permissionDenied:
      return `Pub/Sub does not allow it (${said}): ask for the role roles/pubsub.publisher on the topic.`
    case grpc.unauthenticated:
      return `Google does not accept the credentials (${said}): run gcloud auth application-default login.`
    case grpc.unavailable:
    case grpc.deadlineExceeded:
      return pubsub
        ? `No Pub/Sub answers at ${pubsub}: start the local cloud (npm run local), or correct PUBSUB_EMULATOR_HOST.`
        : `Pub/Sub does not answer (${said}): check the network and try again.`
    case 401:
    case 403:
      return `Cloud Storage does not allow it (${said}): ask for the role roles/storage.objectViewer on the bucket ${env["BUCKET"]}.`
    case 404:
      return `There is no bucket ${env["BUCKET"]} (${said}): create it, or correct BUCKET.`
    case "ECONNREFUSED":
      return storage
        ? `No Cloud Storage answers at ${storage}: start the local cloud (npm run local), or correct STORAGE_EMULATOR_HOST.`
        : undefined
    default:
      return undefined
  }
}
