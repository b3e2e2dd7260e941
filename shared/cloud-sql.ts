import type { Duplex } from "node:stream"

/** How to reach a database in Cloud SQL: https://cloud.google.com/sql/docs/mysql/connect-connectors */
export interface CloudSqlSettings {
  DATABASE_URL: string
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
 * and renewed, whatever address the instance has; a DATABASE_URL without a password means IAM authentication: the user
 * is the service account's name without its `.gserviceaccount.com`.
 */
export async function routeDatabase(settings: CloudSqlSettings, load = loadConnector): Promise<DatabaseRoute> {
  const { DATABASE_URL: url, CLOUD_SQL_INSTANCE: instanceConnectionName } = settings
  if (!instanceConnectionName) return { url, close: () => {} }
  const connector = await load()
  const { stream } = await connector.getOptions({
    instanceConnectionName,
    ipType: settings.CLOUD_SQL_ADDRESS ?? "PUBLIC",
    authType: new URL(url).password === "" ? "IAM" : "PASSWORD",
  })
  return { url, stream, close: () => connector.close() }
}

/** Loaded only where it is used: it takes a task longer to start. */
async function loadConnector(): Promise<Connector> {
  const { Connector } = await import("@google-cloud/cloud-sql-connector")
  return new Connector()
}
