import type { Duplex } from "node:stream"
import { ConfigurationError } from "../errors.ts"
import { connectionOptions } from "./connection-options.ts"

/** How to reach a database in Cloud SQL: https://cloud.google.com/sql/docs/mysql/connect-connectors */
export interface CloudSqlSettings {
  DATABASE_URL: string
  /** Whose connection it is, where DATABASE_URL names nobody. */
  DATABASE_USER?: string | undefined
  /** PROJECT:REGION:INSTANCE. Without it the host in DATABASE_URL is the database. */
  CLOUD_SQL_INSTANCE?: string | undefined
  CLOUD_SQL_ADDRESS?: "PUBLIC" | "PRIVATE" | "PSC" | undefined
}

/** How to reach another server where the shop is read. User and kind of address are those of the database. */
export interface SourceSettings extends CloudSqlSettings {
  SOURCE_DATABASE_URL?: string | undefined
  SOURCE_CLOUD_SQL_INSTANCE?: string | undefined
}

/** What mysql2 needs to connect: nothing more than the URL, or where the bytes go. */
export interface DatabaseRoute {
  url: string
  stream?: () => Duplex
  /** Ends the renewal of certificates, which else keeps the process alive. */
  close(): void
}

/** The part of Google's connector that is used. */
export interface Connector {
  getOptions(options: object): Promise<{ stream: () => Duplex }>
  close(): void
}

/**
 * Finds the way to the database. To Cloud SQL it is a TLS connection with a certificate that is made for this process
 * and renewed, whatever address the instance has. A DATABASE_URL without a password means IAM authentication, and one
 * without a user too is the same for all services: https://cloud.google.com/sql/docs/mysql/iam-authentication
 */
export async function routeDatabase(settings: CloudSqlSettings, load = loadConnector): Promise<DatabaseRoute> {
  return route("DATABASE_URL", settings.DATABASE_URL, settings.CLOUD_SQL_INSTANCE, settings, load)
}

/** Finds the way to the source in the same manner; undefined if the shop is in the database itself. */
export async function routeSource(settings: SourceSettings, load = loadConnector): Promise<DatabaseRoute | undefined> {
  const { SOURCE_DATABASE_URL: url, SOURCE_CLOUD_SQL_INSTANCE: instance } = settings
  if (url !== undefined) return route("SOURCE_DATABASE_URL", url, instance, settings, load)
  if (instance === undefined) return undefined
  throw new ConfigurationError(
    "SOURCE_CLOUD_SQL_INSTANCE is set without SOURCE_DATABASE_URL, which names the database there",
  )
}

async function route(
  variable: string,
  text: string,
  instanceConnectionName: string | undefined,
  settings: CloudSqlSettings,
  load: () => Promise<Connector>,
): Promise<DatabaseRoute> {
  const { DATABASE_USER: user } = settings
  // Throws for what it cannot be.
  connectionOptions(text, variable)
  const url = new URL(text)
  if (url.username === "" && user !== undefined) url.username = user
  if (!instanceConnectionName) return { url: url.href, close: () => {} }
  const connector = await load()
  const { stream } = await connector.getOptions({
    instanceConnectionName,
    ipType: settings.CLOUD_SQL_ADDRESS ?? "PUBLIC",
    authType: url.password === "" ? "IAM" : "PASSWORD",
  })
  return { url: url.href, stream, close: () => connector.close() }
}

/** Loaded only where it is used: it takes a task longer to start. */
async function loadConnector(): Promise<Connector> {
  const { Connector } = await import("@google-cloud/cloud-sql-connector")
  return new Connector()
}
