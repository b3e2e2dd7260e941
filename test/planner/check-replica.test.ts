import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { type DatabaseServer, startDatabaseServer } from "../../services/local/database/start-server.ts"
import { checkReplica } from "../../services/planner/check-replica.ts"
import { type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"

let folder: string
const servers: DatabaseServer[] = []
let primary: DatabaseConnection
let replica: DatabaseConnection
/** Another account on the replica, that is not told how replication goes. */
let reader: DatabaseConnection

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-replica-"))
  const start = (name: string, serverOptions: string[]) =>
    startDatabaseServer({ folder: join(folder, name), serverOptions })
  servers.push(await start("primary", ["--log-bin=binlog", "--server-id=1"]), await start("replica", ["--server-id=2"]))
  const open = (server: DatabaseServer | undefined, user = "root") => {
    const url = new URL("/mysql", server?.url)
    if (user !== "root") Object.assign(url, { username: user, password: "" })
    return openDatabase({ url: url.href, connectionsMax: 1, readOnly: user === "reader" })
  }
  primary = open(servers[0])
  replica = open(servers[1])
  await primary.db.execute("CREATE USER replicator@'127.0.0.1' IDENTIFIED BY 'password'")
  await primary.db.execute("GRANT REPLICATION SLAVE ON *.* TO replicator@'127.0.0.1'")
  await replica.db.execute("CREATE USER reader@'127.0.0.1'")
  await replica.db.execute("GRANT SELECT ON mysql.* TO reader@'127.0.0.1'")
  reader = open(servers[1], "reader")
})
afterAll(async () => {
  for (const connection of [primary, replica, reader]) await connection?.close()
  for (const server of servers) await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const day = { date: "2026-11-22", toAt: new Date("2026-11-23T00:00:00Z") }
const secondsAfterDay = (seconds: number) => new Date(day.toAt.getTime() + seconds * 1000)
const check = (seconds: number, of = replica) => checkReplica(of.db, day, secondsAfterDay(seconds))

test("a source that is no replica is taken as it is", async () => {
  await check(0, primary)
})

/** MySQL 8.4 has lost the words that MariaDB has. */
const statements: Record<
  ServerKind,
  { changeTo: (port: number, delaySeconds: number) => string; start: string; stop: string }
> = {
  mariadb: {
    changeTo: (port, delay) =>
      `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${port}, MASTER_USER = 'replicator',
       MASTER_PASSWORD = 'password', MASTER_DELAY = ${delay}`,
    start: "START SLAVE",
    stop: "STOP SLAVE",
  },
  mysql: {
    changeTo: (port, delay) =>
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${port}, SOURCE_USER = 'replicator',
       SOURCE_PASSWORD = 'password', SOURCE_DELAY = ${delay}, GET_SOURCE_PUBLIC_KEY = 1`,
    start: "START REPLICA",
    stop: "STOP REPLICA",
  },
}

test("a replica must have got to the end of the day, which it is asked anew each time", async () => {
  const { port } = servers[0] as DatabaseServer
  const { changeTo, start, stop } = statements[(servers[0] as DatabaseServer).kind]
  await replica.db.execute(changeTo(port, 1000))
  await expect(check(3600)).rejects.toThrow("gets nothing from its source")
  await replica.db.execute(start)
  await primary.db.execute("CREATE DATABASE late")
  // What it has not applied yet is a second old at least, and an hour at most.
  await vi.waitFor(() => expect(check(0)).rejects.toThrow(/is \d+ s behind .*the end of 2026-11-22/), {
    timeout: 20_000,
    interval: 50,
  })
  await check(3600)
  await replica.db.execute(stop)
  await replica.db.execute(changeTo(port, 0))
  await replica.db.execute(start)
  await vi.waitFor(() => check(0), { timeout: 20_000, interval: 50 })
})

test("a replica that does not tell this user is taken as it is", async () => {
  await check(0, reader)
})
