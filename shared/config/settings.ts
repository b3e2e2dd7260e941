import * as v from "valibot"
import { form, text, wholeNumber } from "./read-config.ts"

// The settings that more than one service reads. Each service's config.ts picks what it uses.

const databaseUrl = (purpose: string) =>
  form(
    `${purpose}, as mysql://user:password@host:port/database`,
    /^mysql:\/\/[^/]+\/[^/?]+/,
    "a URL of the form mysql://user:password@host:port/database",
  )

const cloudSqlInstance = (purpose: string) =>
  form(purpose, /^[^:]+(:[^:]+)?:[^:]+:[^:]+$/, "of the form PROJECT:REGION:INSTANCE")

export const databaseSettings = {
  DATABASE_URL: databaseUrl("the database of the shop and of Revenue"),
  DATABASE_USER: v.optional(text("the database's user, where DATABASE_URL names none: for IAM authentication")),
  CLOUD_SQL_INSTANCE: v.optional(
    cloudSqlInstance("the instance of Cloud SQL that holds the database, instead of the host in DATABASE_URL"),
  ),
  CLOUD_SQL_ADDRESS: v.optional(v.picklist(["PUBLIC", "PRIVATE", "PSC"], "is not PUBLIC, PRIVATE or PSC"), "PUBLIC"),
}

/** For those who read the shop: with them, it is read on another server, such as a replica, and never written there. */
export const sourceSettings = {
  SOURCE_DATABASE_URL: v.optional(databaseUrl("where the shop is read, if not in DATABASE_URL")),
  SOURCE_CLOUD_SQL_INSTANCE: v.optional(
    cloudSqlInstance("the instance of Cloud SQL where the shop is read, instead of the host in SOURCE_DATABASE_URL"),
  ),
}

export const googleSettings = {
  GOOGLE_CLOUD_PROJECT: text("the Google Cloud project"),
  PUBSUB_EMULATOR_HOST: v.optional(text("host:port of a local Pub/Sub, instead of Google's")),
}

export const bucketSettings = {
  BUCKET: text("the Cloud Storage bucket of plans, manifests and verdicts"),
  STORAGE_EMULATOR_HOST: v.optional(text("http://host:port of a local Cloud Storage, instead of Google's")),
}

export const jobSettings = {
  WORKER_JOB: form(
    "the Cloud Run Job of the worker",
    /^projects\/[^/]+\/locations\/[^/]+\/jobs\/[^/]+$/,
    "of the form projects/PROJECT/locations/REGION/jobs/JOB",
  ),
  RUN_EMULATOR_HOST: v.optional(text("host:port of a local Cloud Run, instead of Google's")),
}

export const serverSettings = {
  PORT: v.optional(wholeNumber("the port to listen on; 0 picks a free one", 0, 65_535), "8080"),
  HOST: v.optional(text("the address to listen on"), "0.0.0.0"),
}

/** Who may call a service. Required where Pub/Sub is Google's: a service that asked nobody would take any request. */
export function pushSettings(env: NodeJS.ProcessEnv) {
  const unlessLocal = <Setting extends v.GenericSchema<string, string>>(setting: Setting) =>
    env.PUBSUB_EMULATOR_HOST === undefined ? setting : v.optional(setting)
  return {
    PUSH_AUDIENCE: unlessLocal(text("the audience that push tokens must name: this service's own URL")),
    PUSH_ACCOUNTS: unlessLocal(text("the service accounts that may push, separated by spaces")),
    PUSH_TOKENS: v.optional(v.picklist(["verify", "trust-cloud-run"], "is not verify or trust-cloud-run"), "verify"),
    PUSH_CERTS_URL: v.optional(text("where a local cloud shows the key of its push tokens, instead of Google's")),
  }
}

const exporter = v.optional(v.picklist(["none", "otlp", "console"], "is not none, otlp or console"), "none")

/** Further settings of the exporters they read themselves: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
export const telemetrySettings = {
  OTEL_TRACES_EXPORTER: exporter,
  OTEL_SERVICE_NAME: v.optional(text("the name of this service in traces and metrics")),
}

/** Of those that have numbers to tell. */
export const metricSettings = {
  OTEL_METRICS_EXPORTER: exporter,
}

/** For those that read whole days of the shop. */
export const throttleSettings = {
  THROTTLE_THREADS_RUNNING: v.optional(
    wholeNumber("above how many running threads of others on the shop's server reading waits", 0, 1_000_000),
  ),
  THROTTLE_REPLICA_LAG_SECONDS: v.optional(
    wholeNumber("above how many seconds that the shop's server, a replica, is behind reading waits", 0, 1_000_000),
  ),
  THROTTLE_QUERY: v.optional(text("a SELECT of one number on the shop's server: above 0 reading waits")),
  THROTTLE_MINUTES_MAX: v.optional(
    wholeNumber("minutes that a task, a verification or an audit waits for the server at most, in all", 1, 10_000),
    "30",
  ),
}

export const daySettings = {
  REVENUE_TIME_ZONE: v.optional(
    v.pipe(
      text("the IANA time zone in which a revenue date is a day"),
      v.check(isTimeZone, "is not an IANA time zone such as Europe/Berlin"),
    ),
    "UTC",
  ),
}

export const firstDateSettings = {
  FIRST_DATE: v.optional(
    v.pipe(
      text("the first date of which every day should be there, as YYYY-MM-DD"),
      v.regex(/^[1-9]\d{3}-\d{2}-\d{2}$/, "is not a date such as 2026-01-01"),
      v.check((date) => !Number.isNaN(Date.parse(date)), "does not exist"),
    ),
  ),
}

export const deadlineSettings = {
  DEADLINE: v.optional(
    form(
      "by when readers see the day before, as HH:MM in REVENUE_TIME_ZONE: if not, it is told",
      /^([01]\d|2[0-3]):[0-5]\d$/,
      "a time such as 06:00",
    ),
  ),
}

export const retentionSettings = {
  RETENTION_DAYS: v.optional(
    wholeNumber("days for which runs that readers do not see any more are kept; 0 for ever", 0, 100_000),
    "400",
  ),
}

export const logSettings = {
  LOG_LEVEL: v.optional(v.picklist(["debug", "info", "warn", "error"], "is not debug, info, warn or error"), "info"),
}

/** Abbreviations such as IST, which Intl takes for one of several zones and Temporal for none, are refused. */
function isTimeZone(name: string): boolean {
  if (name !== "UTC" && !name.includes("/")) return false
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== ""
  } catch {
    return false
  }
}
