import { afterEach, beforeEach, describe, expect, inject, test } from "vitest"
import { allRows, type DatabaseConnection, openDatabase } from "../../../shared/database/open-database.ts"
import { describeError } from "../../../shared/errors.ts"
import { retryTransient } from "../../../shared/retry.ts"
import { createLog } from "../../../shared/telemetry/log.ts"
import { isTransient } from "../../../shared/transient.ts"
import { type DatabaseProxy, startDatabaseProxy } from "../../faults/database-proxy.ts"

const never = () => new Promise<never>(() => undefined)

let proxy: DatabaseProxy
let database: DatabaseConnection
beforeEach(async () => {
  proxy = await startDatabaseProxy()
  const url = new URL(inject("databaseServer"))
  proxy.target = Number(url.port)
  url.port = String(proxy.port)
  url.pathname = "/information_schema"
  database = openDatabase({ url: url.href, connectionsMax: 2, silentMs: 300, answerMs: 500 })
})
afterEach(async () => {
  await database.close().catch(() => undefined)
  await proxy.stop()
})

const select = async (expression: string) => {
  const [row] = allRows<{ x: number }>(await database.db.execute(`SELECT ${expression} AS x`))
  return Number(row?.x)
}

describe("a statement that is never answered", () => {
  test.each(["before", "after"] as const)(
    "fails, lost %s the server had it, and is tried again over a fresh connection",
    async (when) => {
      expect(await select("1")).toBe(1)
      let lost = 0
      proxy.faults.add({
        matches: ({ request }) => /41 \+ 1/.test(String(request)) && lost === 0,
        [when]: () => (lost++, never()),
      })
      const errors: unknown[] = []
      const attempt = () =>
        select("41 + 1").catch((error) => {
          errors.push(error)
          throw error
        })
      expect(await retryTransient("select", attempt, { log: await createLog("test", "silent") })).toBe(42)
      expect(errors).toHaveLength(1)
      expect(describeError(errors[0])).toMatch(
        /a statement was not answered for \d+ s, and the server does not work on it/,
      )
    },
  )

  test("fails where the server answers nobody", async () => {
    expect(await select("1")).toBe(1)
    proxy.faults.add({ matches: () => true, before: never })
    const error = await select("41 + 1").catch((thrown: unknown) => thrown)
    expect(isTransient(error)).toBe(true)
    expect(describeError(error)).toMatch(/and the server does not answer/)
  })
})

test("a statement that takes long is waited for", async () => {
  expect(await select("SLEEP(3)")).toBe(0)
})

test("a connection that asks nothing is left alone", async () => {
  expect(await select("CONNECTION_ID()")).toBe(
    await new Promise((resolve) => setTimeout(resolve, 1_500)).then(() => select("CONNECTION_ID()")),
  )
})
