import { pino } from "pino"
import { expect, test } from "vitest"
import { openClaimGate } from "../../services/worker/claim-gate.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"

const database = useTestDatabase()

const openGate = (shopDb: Database, query: string, minutesMax: number) =>
  openClaimGate({
    db: database.db,
    shopDb,
    runId: "2026-11-22-1",
    throttle: { threadsRunning: undefined, replicaLagSeconds: undefined, query, minutesMax },
    flush: async () => {},
    log: pino({ level: "silent" }),
  })

test("a connection that is lost while it asks whether the shop is busy does not end the task", async () => {
  let failures = 0
  const execute = (query: never) => {
    if (failures++ === 0) throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })
    return database.db.execute(query)
  }
  expect(await openGate({ execute } as unknown as Database, "SELECT 0", 1).pass()).toBe(true)
})

test("neither does a question that the shop's server refuses: the task waits, and goes on", async () => {
  const startedAt = performance.now()
  expect(await openGate(database.db, "SELECT n FROM no_such_table", 1 / 60).pass()).toBe(true)
  expect(performance.now() - startedAt).toBeGreaterThan(900)
})

test("a pause closes it for good", async () => {
  await database.query("UPDATE controls SET paused = 1")
  const gate = openGate(database.db, "SELECT 0", 1)
  expect(await gate.pass()).toBe(false)
  await database.query("UPDATE controls SET paused = 0")
  expect(await gate.pass()).toBe(false)
  expect(gate.isClosed).toBe(true)
})
