import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { migrateDatabase } from "../../../services/migrate/migrate-database.ts"
import { allRows, openDatabase } from "../../../shared/database/open-database.ts"
import { type Connector, routeDatabase } from "../../../shared/database/route-database.ts"
import { createTestDatabase, type TestDatabase } from "../../fixtures/test-database.ts"

const CLOUD_SQL_INSTANCE = "shop:europe-west1:main"

/** Instead of Google's connector, whose server is not to be had: the same streams, to the database of the tests. */
function connectorTo(server: URL) {
  const asked: object[] = []
  let closed = 0
  const connector: Connector = {
    getOptions: async (options) => {
      asked.push(options)
      return { stream: () => connect(Number(server.port), server.hostname) }
    },
    close: () => void closed++,
  }
  return { load: async () => connector, asked, closed: () => closed }
}

describe("the way to the database", () => {
  let database: TestDatabase
  let server: URL
  /** As in Cloud SQL: nobody is at the host of the URL. */
  let unreachable: string
  beforeAll(async () => {
    database = await createTestDatabase()
    server = new URL(database.url)
    const url = new URL(database.url)
    url.hostname = "cloud-sql.invalid"
    unreachable = url.href
  })
  afterAll(() => database.drop())

  it("is the URL's host, and no connector is loaded, where no instance is named", async () => {
    const load = () => Promise.reject(new Error("loaded"))
    expect(await routeDatabase({ DATABASE_URL: database.url }, load)).toEqual({
      url: database.url,
      close: expect.any(Function),
    })
  })

  it("is not found from what is no URL, and what it was is not told", async () => {
    const described = routeDatabase({ DATABASE_URL: "mysql://root:pw#hush@host/shop" })
    await expect(described).rejects.toThrow(/^DATABASE_URL cannot be read as a URL: in a password/)
    await expect(described).rejects.not.toThrow("hush")
  })

  it("is the connector's where an instance is named: for queries, transactions and migrations", async () => {
    const { load, closed } = connectorTo(server)
    const route = await routeDatabase({ DATABASE_URL: unreachable, CLOUD_SQL_INSTANCE }, load)
    expect(await migrateDatabase(route.url, route)).toEqual([])
    const pool = openDatabase({ ...route, connectionsMax: 3 })
    const ids = await Promise.all(
      Array.from({ length: 3 }, () => pool.db.execute("SELECT CONNECTION_ID() AS id, SLEEP(0.05)")),
    )
    expect(new Set(ids.map((rows) => allRows<{ id: string }>(rows)[0]?.id)).size).toBe(3)
    await pool.close()
    route.close()
    expect(closed()).toBe(1)
  })

  it("is the one of the asked address, as who the password, or its lack, says", async () => {
    const { load, asked } = connectorTo(server)
    await routeDatabase({ DATABASE_URL: "mysql://daybook:pw@x/shop", CLOUD_SQL_INSTANCE }, load)
    await routeDatabase(
      { DATABASE_URL: "mysql://daybook-worker@x/shop", CLOUD_SQL_INSTANCE, CLOUD_SQL_ADDRESS: "PRIVATE" },
      load,
    )
    const nobody = { DATABASE_URL: "mysql://cloud-sql/shop", DATABASE_USER: "daybook-worker", CLOUD_SQL_INSTANCE }
    expect((await routeDatabase(nobody, load)).url).toBe("mysql://daybook-worker@cloud-sql/shop")
    expect(asked.pop()).toMatchObject({ authType: "IAM" })
    expect(asked).toEqual([
      { instanceConnectionName: CLOUD_SQL_INSTANCE, ipType: "PUBLIC", authType: "PASSWORD" },
      { instanceConnectionName: CLOUD_SQL_INSTANCE, ipType: "PRIVATE", authType: "IAM" },
    ])
  })
})
