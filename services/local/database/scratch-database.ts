import { randomBytes } from "node:crypto"
import { createConnection } from "mysql2/promise"
import { ConfigurationError, describeError } from "../../../shared/errors.ts"

export interface ScratchDatabase {
  url: string
  drop(): Promise<void>
}

/** Makes a database of its own on somebody's server, where nothing else is touched. */
export async function createScratchDatabase(serverUrl: string): Promise<ScratchDatabase> {
  const name = `daybook_${randomBytes(6).toString("hex")}`
  const server = new URL(serverUrl)
  server.pathname = "/"
  try {
    await execute(server.href, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  } catch (error) {
    throw new ConfigurationError(
      `No database of its own can be made on ${server.host}, which the local cloud needs: ${describeError(error)}. Without DATABASE_URL it starts a server of its own.`,
      { cause: error },
    )
  }
  const url = new URL(server)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => execute(server.href, `DROP DATABASE IF EXISTS ${name}`) }
}

/** In a database server that is the cloud's own, and is kept: made if it is not there yet. */
export async function ensureDatabase(serverUrl: string, name: string): Promise<string> {
  await execute(serverUrl, `CREATE DATABASE IF NOT EXISTS ${name} CHARACTER SET utf8mb4`)
  return new URL(`/${name}`, serverUrl).href
}

async function execute(url: string, statement: string): Promise<void> {
  const connection = await createConnection({ uri: url })
  try {
    await connection.query(statement)
  } finally {
    await connection.end()
  }
}
