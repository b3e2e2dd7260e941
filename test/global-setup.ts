import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { startMariaDb } from "../services/local/database/start-mariadb.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** A server, without a database: mysql://user:password@host:port/ */
    databaseServer: string
  }
}

/** One database server for all tests; each test file makes a database of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.DATABASE_URL
  if (given) {
    project.provide("databaseServer", new URL("/", given).href)
    return async () => {}
  }
  const folder = await mkdtemp(join(tmpdir(), "daybook-test-"))
  const mariadb = await startMariaDb({ folder: join(folder, "mariadb") })
  project.provide("databaseServer", mariadb.url)
  return async () => {
    await mariadb.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
