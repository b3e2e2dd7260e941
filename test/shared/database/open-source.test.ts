import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { readFinalizerConfig } from "../../../services/finalizer/config.ts"
import { readPlannerConfig } from "../../../services/planner/config.ts"
import { readWorkerConfig } from "../../../services/worker/config.ts"
import { explainDatabaseError } from "../../../shared/database/explain-database-error.ts"
import { allRows } from "../../../shared/database/open-database.ts"
import { openSource } from "../../../shared/database/open-source.ts"
import { readSource } from "../../../shared/database/read-source.ts"
import { routeSource } from "../../../shared/database/route-database.ts"
import { describeError, PermanentError } from "../../../shared/errors.ts"
import { createTestDatabase, type TestDatabase } from "../../fixtures/test-database.ts"

let database: TestDatabase
let shop: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  shop = await createTestDatabase()
  await shop.query("CREATE TABLE counted (n INT) ENGINE = InnoDB")
})
afterAll(async () => {
  await Promise.all([database.drop(), shop.drop()])
})

const primaryUrl = "mysql://daybook@127.0.0.1:3306/revenue"
const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

describe("the source", () => {
  test("is the database itself where no other is named, and closing it does not close that", async () => {
    const source = await openSource({ DATABASE_URL: database.url }, database, 1)
    expect(source.db).toBe(database.db)
    await source.close()
    expect(await database.query("SELECT '1' AS one")).toEqual([{ one: "1" }])
  })

  test("refuses every write, whatever its user may do, and reads in UTC at READ COMMITTED", async () => {
    const source = await openSource({ DATABASE_URL: database.url, SOURCE_DATABASE_URL: shop.url }, database, 1)
    for (const write of ["INSERT INTO counted VALUES (1)", "DELETE FROM counted", "DROP TABLE counted"]) {
      const error = await failure(source.db.execute(write))
      expect(describeError(error)).toMatch(/READ ONLY transaction/)
    }
    const [session] = allRows<Record<string, string>>(
      await source.db.execute("SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')"),
    )
    expect(session?.["Value"]).toBe("READ-COMMITTED")
    expect(allRows(await source.db.execute("SELECT @@time_zone AS zone"))).toEqual([{ zone: "+00:00" }])
    await source.close()
    expect(await shop.query("SELECT * FROM counted")).toEqual([])
  })

  test("in Cloud SQL is reached by its own instance, as the user and at the kind of address of the database", async () => {
    const asked: object[] = []
    const getOptions = async (options: object) => {
      asked.push(options)
      return { stream: () => connect(1) }
    }
    const route = await routeSource(
      {
        DATABASE_URL: "mysql://x/shop",
        DATABASE_USER: "daybook-worker",
        CLOUD_SQL_INSTANCE: "shop:europe-west1:main",
        CLOUD_SQL_ADDRESS: "PRIVATE",
        SOURCE_DATABASE_URL: "mysql://x/replica",
        SOURCE_CLOUD_SQL_INSTANCE: "shop:europe-west1:replica",
      },
      async () => ({ getOptions, close: () => {} }),
    )
    expect(route?.url).toBe("mysql://daybook-worker@x/replica")
    expect(asked).toEqual([{ instanceConnectionName: "shop:europe-west1:replica", ipType: "PRIVATE", authType: "IAM" }])
  })
})

describe("settings of a source", () => {
  const settings = {
    DATABASE_URL: primaryUrl,
    GOOGLE_CLOUD_PROJECT: "shop",
    BUCKET: "shop-daybook",
    WORKER_JOB: "projects/shop/locations/europe-west1/jobs/daybook-worker",
    PUBSUB_EMULATOR_HOST: "127.0.0.1:1",
    RUN_ID: "2026-11-22-1",
    DISPATCH: "0",
    CLOUD_RUN_EXECUTION: "daybook-worker-abcde",
    CLOUD_RUN_TASK_INDEX: "0",
    CLOUD_RUN_TASK_ATTEMPT: "0",
    CLOUD_RUN_TASK_COUNT: "1",
  }

  test.each([readPlannerConfig, readWorkerConfig, readFinalizerConfig])("are read and checked by %o", (read) => {
    const url = "mysql://reader@replica:3306/shop"
    expect(read({ ...settings, SOURCE_DATABASE_URL: url }).SOURCE_DATABASE_URL).toBe(url)
    expect(read(settings).SOURCE_DATABASE_URL).toBeUndefined()
    expect(() => read({ ...settings, SOURCE_DATABASE_URL: "replica" })).toThrow("SOURCE_DATABASE_URL is not a URL")
    expect(() => read({ ...settings, SOURCE_CLOUD_SQL_INSTANCE: "replica" })).toThrow(
      "SOURCE_CLOUD_SQL_INSTANCE is not of the form PROJECT:REGION:INSTANCE",
    )
  })

  test("that name an instance but no database there, or no URL, are told without what they hold", async () => {
    await expect(routeSource({ DATABASE_URL: primaryUrl, SOURCE_CLOUD_SQL_INSTANCE: "a:b:c" })).rejects.toThrow(
      "without SOURCE_DATABASE_URL",
    )
    const described = routeSource({ DATABASE_URL: primaryUrl, SOURCE_DATABASE_URL: "mysql://root:pw#hush@host/shop" })
    await expect(described).rejects.toThrow(/^SOURCE_DATABASE_URL cannot be read as a URL/)
    await expect(described).rejects.not.toThrow("hush")
  })
})

describe("what fails at the source", () => {
  const away = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", fatal: true })
  const missing = Object.assign(new Error("Table 'shop.purchases' doesn't exist"), {
    code: "ER_NO_SUCH_TABLE",
    sqlState: "42S02",
  })
  const sourceUrl = "mysql://reader@10.0.0.2:3307/shop"

  test("is told of the source, and what fails in the database of the database", async () => {
    const ofSource = await failure(readSource(() => Promise.reject(away)))
    expect(explainDatabaseError(ofSource, primaryUrl, sourceUrl)).toBe(
      "No database answers at 10.0.0.2:3307: start it, or correct SOURCE_DATABASE_URL.",
    )
    const both = "No database answers at 127.0.0.1:3306: start it, or correct DATABASE_URL."
    expect(explainDatabaseError(away, primaryUrl, sourceUrl)).toBe(both)
    // One database is both.
    expect(explainDatabaseError(ofSource, primaryUrl)).toBe(both)
  })

  test("for want of a table is not mended by a migration", async () => {
    const error = await failure(readSource(() => Promise.reject(missing)))
    expect(explainDatabaseError(error, primaryUrl, sourceUrl)).toMatch(
      /"shop" has no such shop .*correct SOURCE_DATABASE_URL\.$/,
    )
    expect(explainDatabaseError(missing, primaryUrl, sourceUrl)).toMatch(/run npm run migrate\.$/)
  })

  test("by our own judgement stays what it is", async () => {
    const refusal = new PermanentError("no index")
    expect(await failure(readSource(() => Promise.reject(refusal)))).toBe(refusal)
  })
})
