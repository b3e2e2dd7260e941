import type { Duplex } from "node:stream"
import { ConfigurationError } from "./errors.ts"

/** How to reach a database in Cloud SQL: https://cloud.google.com/sql/docs/mysql/connect-connectors */
export interface CloudSqlSettings {
  DATABASE_URL: string
  /** Whose connection it is, where DATABASE_URL names nobody. */
  DATABASE_USER?: string | undefined
  /** PROJECT:REGION:INSTANCE. Without it the host in DATABASE_URL is the database. */
  CLOUD_SQL_INSTANCE?: string | undefined
  CLOUD_SQL_ADDRESS?: "PUBLIC" | "PRIVATE" | "PSC" | undefined
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
  const { CLOUD_SQL_INSTANCE: instanceConnectionName, DATABASE_USER: user } = settings
  const url = parseUrl(settings.DATABASE_URL)
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

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url) return url
  // Without what was given: it holds a password.
  throw new ConfigurationError(
    "DATABASE_URL cannot be read as a URL: in a password, characters such as # / ? @ are written as %23 %2F %3F %40",
  )
}

/** Loaded only where it is used: it takes a task longer to start. */
async function loadConnector(): Promise<Connector> {
  const { Connector } = await import("@google-cloud/cloud-sql-connector")
  return new Connector()
}
