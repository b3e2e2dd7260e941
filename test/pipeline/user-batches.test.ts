import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { date, type Pipeline, startPipeline } from "../fixtures/start-pipeline.ts"
import { asText, createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"
import { fillUserShop, userShopTables } from "../fixtures/user-shop.ts"

interface Case {
  where: string
  isElsewhere: boolean
  zone: string
  /** The day's midnights in UTC. */
  from: string
  to: string
}

const cases: Case[] = [
  { where: "database", isElsewhere: false, zone: "UTC", from: `${date} 00:00:00`, to: "2026-11-23 00:00:00" },
  { where: "database", isElsewhere: false, zone: "Asia/Kolkata", from: "2026-11-21 18:30:00", to: `${date} 18:30:00` },
  { where: "source", isElsewhere: true, zone: "America/New_York", from: `${date} 05:00:00`, to: "2026-11-23 05:00:00" },
]

describe.each(cases)(
  "a shop with nothing but an index of each user's purchases, in the $where, a day of $zone",
  (of) => {
    let shop: TestDatabase
    let pipeline: Pipeline

    beforeAll(async () => {
      shop = await createTestDatabase()
      const settings = {
        REVENUE_TIME_ZONE: of.zone,
        SCAN_ROWS_MAX: "0",
        ...(of.isElsewhere ? { SOURCE_DATABASE_URL: shop.url } : {}),
      }
      pipeline = await startPipeline({ shardPurchases: 300, settings })
      await pipeline.query("DROP TABLE purchases, users")
      const statements = [...userShopTables, ...fillUserShop(date, 12), "ANALYZE TABLE purchases"]
      await (of.isElsewhere ? shop : pipeline).query(...statements)
    })
    afterAll(async () => {
      await pipeline?.stop()
      await shop?.drop()
    })

    const ask = (statement: string) => (of.isElsewhere ? shop : pipeline).query(statement)
    const ofDay = `purchased_at >= '${of.from}' AND purchased_at < '${of.to}'`

    /** The view that readers see beside an independent computation. */
    async function expectRevenue(): Promise<number> {
      const seen = await pipeline.query(`SELECT user_id, amount_cents, purchases FROM revenue
      WHERE revenue_date = '${date}' ORDER BY user_id`)
      const expected = await ask(`SELECT user_id, SUM(amount_cents), COUNT(*) FROM purchases
      WHERE ${ofDay} AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id`)
      expect(asText(seen)).toEqual(asText(expected))
      return seen.length
    }

    test("is whole: refunds, users that are in no table, one with a tenth of all; guests are counted apart", async () => {
      const verdict = await pipeline.start()
      expect(verdict).toMatchObject({ verdict: "complete", version: 1, missing: [], failed: [], drifted: [] })
      expect(verdict.rows).toBe(BigInt(await expectRevenue()))
      expect(verdict.shards).toBeGreaterThan(3)
      const [guests] = await ask(`SELECT COUNT(*) AS guests FROM purchases WHERE ${ofDay} AND user_id IS NULL`)
      expect(verdict.guestPurchases).toBe(BigInt(String(guests?.["guests"])))
      expect(await pipeline.run(verdict.runId ?? "")).toMatchObject({
        sourceIndex: "purchases_by_user",
        accessPath: "user-batches",
      })
      const { read } = await pipeline.readPlan(verdict.runId ?? "")
      expect(read).toMatchObject({ index: "purchases_by_user", way: "user-batches" })
    })

    test("takes in at its next run what came late, and a rerun what came while it went", async () => {
      await ask(`INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (4001, 1000, '${date} 12:00:00')`)
      await expect(expectRevenue()).rejects.toThrow("deeply equal")
      // A purchase of the first shard's, once that is computed.
      const remove = pipeline.cloud.storage.faults.add({
        matches: ({ method, resource }) => method === "storage.objects.insert" && resource.endsWith("/shards/0.json"),
        before: async () => {
          remove()
          await ask(
            `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (-2999, -7, '${date} 12:00:00')`,
          )
        },
      })
      const drifted = await pipeline.start()
      expect(drifted).toMatchObject({ verdict: "incomplete", version: 2, missing: [], failed: [], corrupt: [] })
      expect(drifted.drifted).toEqual([0])
      expect(await pipeline.rerun({ runId: drifted.runId })).toMatchObject({ verdict: "complete", version: 2 })
      await expectRevenue()
    })
  },
)
