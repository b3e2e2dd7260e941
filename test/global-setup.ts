import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createConnection } from "mysql2/promise"
import type { TestProject } from "vitest/node"
import { startDatabaseServer } from "../services/local/database/start-server.ts"
import { findChromium } from "./fixtures/find-chromium.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** A server, without a database: mysql://user:password@host:port/ */
    databaseServer: string
    /** Whether tests may make accounts of their own there, and grant them everything. */
    mayCreateUsers: boolean
    /** A browser's program; "" where there is none. */
    chromium: string
  }
}

/** One database server for all tests; each test file makes a database of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  project.provide("chromium", (await findChromium()) ?? "")
  const given = process.env.DATABASE_URL
  if (given) {
    const mayCreateUsers = await tryCreateUser(given)
    if (!mayCreateUsers)
      console.log(
        "The account of DATABASE_URL may not create users or grant them rights: tests that need an account of their own are skipped.",
      )
    project.provide("databaseServer", new URL("/", given).href)
    project.provide("mayCreateUsers", mayCreateUsers)
    return async () => {}
  }
  const folder = await mkdtemp(join(tmpdir(), "daybook-test-"))
  const server = await startDatabaseServer({ folder, log: (line) => console.log(line) })
  console.log(`Tests run on ${server.name}.`)
  project.provide("databaseServer", server.url)
  project.provide("mayCreateUsers", true)
  return async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function tryCreateUser(url: string): Promise<boolean> {
  const connection = await createConnection({ uri: url })
  const user = "daybook_test_user@localhost"
  try {
    await connection.query(`CREATE USER ${user}`)
    // An account with all rights but GRANT OPTION may create users, and they may do nothing.
    return await connection.query(`GRANT ALL ON *.* TO ${user}`).then(
      () => true,
      () => false,
    )
  } catch {
    return false
  } finally {
    await connection.query(`DROP USER IF EXISTS ${user}`).catch(() => undefined)
    await connection.end()
  }
}
