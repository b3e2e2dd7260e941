import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createConnection } from "mysql2/promise"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { type DatabaseServer, startDatabaseServer } from "../../services/local/database/start-server.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { connectionOptions } from "../../shared/database/connection-options.ts"
import { STATEMENT_TIME_UNLIMITED } from "../../shared/database/dialect.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { startPage } from "../rooms/page-room.ts"
import { type Pipeline, purchasesOf, startPipeline } from "../rooms/start-pipeline.ts"
import { asText, shopTables } from "../rooms/test-database.ts"

/** What somebody may have set for everybody on a server, and what Cloud SQL sets. */
const settings: Record<ServerKind, string[]> = {
  mariadb: [
    "--max-statement-time=0.001",
    "--log-bin=binlog",
    "--server-id=1",
    // What a client says of its character set counts for nothing.
    "--character-set-server=latin1",
    "--skip-character-set-client-handshake",
  ],
  mysql: [
    "--max-execution-time=1",
    "--log-bin=binlog",
    "--server-id=1",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--sql-require-primary-key=ON",
    "--require-secure-transport=ON",
  ],
}
const common = [
  "--default-time-zone=+05:30",
  "--sql-mode=",
  "--autocommit=OFF",
  // A commit begins another transaction, in which whatever follows stays.
  "--completion-type=CHAIN",
  "--transaction-isolation=SERIALIZABLE",
  "--max-join-size=1000",
  "--lower-case-table-names=1",
]

/** The same, of what a server does not start with. */
const globals: Record<ServerKind, string[]> = {
  mariadb: ["SET GLOBAL TRANSACTION READ ONLY", "SET GLOBAL sql_safe_updates = 1"],
  mysql: [
    "SET GLOBAL TRANSACTION READ ONLY",
    "SET GLOBAL sql_safe_updates = 1",
    "SET GLOBAL sql_generate_invisible_primary_key = ON",
  ],
}

const date = "2026-11-22"
const password = "hush: @ % ?"

let folder: string
let server: DatabaseServer
let pipeline: Pipeline

/** A URL for an account; the server of MySQL takes encrypted connections only. */
function urlOf(user: string, secret = "", mode = server.kind === "mysql" ? "REQUIRED" : "DISABLED"): string {
  const url = new URL("/shop", server.url)
  url.username = user
  url.password = encodeURIComponent(secret)
  url.searchParams.set("ssl-mode", mode)
  return url.href
}

async function asRoot<Row = Record<string, unknown>>(...statements: string[]): Promise<Row[]> {
  const url = new URL(urlOf("root", new URL(server.url).password))
  url.pathname = "/"
  const connection = await createConnection({
    ...connectionOptions(url.href),
    supportBigNumbers: true,
    bigNumberStrings: true,
  })
  try {
    await connection.query("SET SESSION TRANSACTION READ WRITE")
    await connection.query(`SET autocommit = 1, time_zone = '+00:00', sql_big_selects = 1${STATEMENT_TIME_UNLIMITED}`)
    let rows: unknown
    for (const statement of statements) [rows] = await connection.query(statement)
    return rows as Row[]
  } finally {
    await connection.end()
  }
}

/** The statements of the page for people's own tables, each account with a password. */
async function grantAsPageSays(): Promise<void> {
  const page = await readFile(new URL("../../schemas/database/README.md", import.meta.url), "utf8")
  const grants = page.match(/^GRANT .*;$/gm) ?? []
  expect(grants.length).toBeGreaterThan(5)
  const withHost = (grant: string) => grant.replace(/ TO (\w+);$/, " TO $1@'%'")
  await asRoot(...grants.map(withHost))
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-strange-"))
  server = await startDatabaseServer({ folder, serverOptions: (kind) => [...common, ...settings[kind]] })
  await asRoot(...globals[server.kind], "CREATE DATABASE shop")
  await asRoot("USE shop", ...shopTables, ...purchasesOf(200, 5, date), ...purchasesOf(50, 3, "2026-11-23"))
  for (const user of ["daybook_migrate", "daybook", "daybook_page", "reader"]) {
    await asRoot(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`)
  }
})
afterAll(async () => {
  await pipeline?.stop()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

test("a server with settings of its own, and accounts that may do what the page says and no more, has its day whole", async () => {
  // Grants on tables want these to be there.
  await asRoot(
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, CREATE VIEW ON shop.* TO daybook_migrate@'%'",
  )
  expect((await migrateDatabase(urlOf("daybook_migrate", password))).length).toBeGreaterThan(3)
  await grantAsPageSays()
  expect(await migrateDatabase(urlOf("daybook_migrate", password))).toEqual([])
  // As where another program leaves its statements prepared: from here on there is no room for another.
  await asRoot("SET GLOBAL max_prepared_stmt_count = 0")
  pipeline = await startPipeline({ settings: { DATABASE_URL: urlOf("daybook", password) } })
  const asker = { askedBy: "Renée 😀", note: "日曜" }
  for (const version of [1, 2]) {
    const requestId = await pipeline.publish("run-requests", { date }, asker)
    expect(await pipeline.awaitVerdict(requestId)).toMatchObject({ verdict: "complete", version, ...asker })
    const seen = await asRoot(`SELECT user_id, amount_cents, purchases FROM shop.revenue ORDER BY user_id`)
    const expected = await asRoot(`SELECT user_id, SUM(amount_cents), COUNT(*) FROM shop.purchases
      WHERE DATE(purchased_at) = '${date}' AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id`)
    expect(asText(seen)).toEqual(asText(expected))
    // What comes afterwards is in the next version.
    await asRoot("USE shop", ...purchasesOf(10, 2, date))
  }
  // Only a migration prepares statements.
  await expect(migrateDatabase(urlOf("daybook_migrate", password))).rejects.toThrow("raise max_prepared_stmt_count")
  await asRoot("SET GLOBAL max_prepared_stmt_count = DEFAULT")
})

test("the page shows the day to an account that may only read the ledger", async () => {
  const url = urlOf("daybook_page", password)
  const own = openDatabase({ url, connectionsMax: 2, readOnly: true })
  const page = await startPage({ db: own.db, url })
  try {
    expect(await (await fetch(`${page.url}/?day=${date}&version=1`)).text()).toContain("complete")
    expect((await fetch(`${page.url}/?day=${date}&do=start&date=${date}`)).status).toBe(200)
    await expect(own.db.execute("UPDATE runs SET note = 'x'")).rejects.toThrow("UPDATE runs")
  } finally {
    await page.close()
    await own.close()
  }
})

test("an account that is locked, and a server that wants encryption, are told with what to do", async () => {
  const failure = (url: string) => migrateDatabase(url).then(() => "none", String)
  expect(await failure(urlOf("daybook", "wrong"))).toContain('refuses the user "daybook" with this password')
  await asRoot("ALTER USER daybook@'%' ACCOUNT LOCK")
  expect(await failure(urlOf("daybook", password))).toMatch(
    /The account of the user "daybook" at .* is locked: unlock it/,
  )
  await asRoot("ALTER USER daybook@'%' ACCOUNT UNLOCK")
  if (server.kind === "mysql") {
    expect(await failure(urlOf("daybook", password, "DISABLED"))).toContain(
      "takes encrypted connections only: add ?ssl-mode",
    )
    expect(await failure(urlOf("daybook", password, "VERIFY_CA"))).toContain("is not proven by ssl-mode and ssl-ca")
    const proven = new URL(urlOf("daybook_migrate", password, "VERIFY_CA"))
    proven.searchParams.set("ssl-ca", join(folder, "mysql/data/ca.pem"))
    expect(await failure(proven.href)).toBe("none")
  } else {
    // Since 11.4 MariaDB makes itself a certificate.
    expect(await failure(urlOf("daybook_migrate", password, "REQUIRED"))).toMatch(/^none$|has no encrypted connections/)
  }
})

test("a server that is read-only for a while, as after a failover, is waited for", async () => {
  const readOnly = server.kind === "mysql" ? "super_read_only" : "read_only"
  await asRoot(`SET GLOBAL ${readOnly} = ON`)
  const verdict = pipeline.start("2026-11-23")
  const { logFile } = pipeline.cloud.services.planner
  // The planner has tried to write it, and the server has said no.
  await vi.waitFor(
    async () => expect(await readFile(logFile, "utf8")).toMatch(/running with the --(super-)?read-only/),
    {
      timeout: 30_000,
      interval: 20,
    },
  )
  await asRoot("SET GLOBAL read_only = OFF")
  expect(await verdict).toMatchObject({ verdict: "complete", version: 1 })
})
