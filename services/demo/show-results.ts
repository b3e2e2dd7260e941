import { join } from "node:path"
import type { Bucket } from "@google-cloud/storage"
import { and, asc, desc, eq, inArray, sql } from "drizzle-orm"
import pMap from "p-map"
import { revenue } from "../../schemas/database/revenue.ts"
import { plainShop } from "../../schemas/database/shop.ts"
import { type Manifest, ManifestSchema } from "../../schemas/documents/manifest_pb.ts"
import { parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { manifestFolder, planPath, runFolder, verdictPath } from "../../shared/documents/document-paths.ts"
import { listDocuments, readDocument } from "../../shared/documents/documents.ts"
import { formatRange } from "../../shared/range.ts"
import type { RetryOptions } from "../../shared/retry.ts"
import { formatAmount } from "../../shared/terminal/render-amount.ts"
import { formatCount, formatDuration } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { compareWithTruth } from "./create-real-shop.ts"

const SHARDS_SHOWN = 3
const READS_AT_ONCE = 8
const right = "right" as const

/** The shards that took longest from claim to commit, by their manifests. */
export async function showSlowestShards(bucket: Bucket, runId: string, options: RetryOptions): Promise<string[]> {
  const listed = await listDocuments(bucket, manifestFolder(runId), options)
  const read = async ({ path }: { path: string }) => {
    const text = await readDocument(bucket, path, options)
    return text === undefined ? [] : [parseDocument(ManifestSchema, text)]
  }
  const manifests = (await pMap(listed, read, { concurrency: READS_AT_ONCE })).flat()
  const slowest = manifests.toSorted((a, b) => tookMs(b) - tookMs(a)).slice(0, SHARDS_SHOWN)
  if (slowest.length === 0) return []
  return [
    "slowest shards",
    ...indent(
      renderTable(
        [
          { title: "shard", align: right },
          { title: "took", align: right },
          { title: "purchases", align: right },
          { title: "rows", align: right },
          { title: "task.attempt", align: right },
          { title: "user ids" },
        ],
        slowest.map((manifest) => [
          String(manifest.index),
          formatDuration(tookMs(manifest)),
          formatCount(manifest.purchases),
          formatCount(manifest.rows),
          `${manifest.taskIndex}.${manifest.attempt}`,
          formatRange(manifest),
        ]),
      ),
    ),
  ]
}

function tookMs({ claimedAt, committedAt }: Manifest): number {
  return Date.parse(committedAt) - Date.parse(claimedAt)
}

/** A few rows as readers see them, beside the same users' purchases added up on the spot. */
export async function showRevenue(db: Database, date: string): Promise<{ lines: string[]; agrees: boolean }> {
  const ofDate = eq(revenue.revenueDate, date)
  const most = await db.select().from(revenue).where(ofDate).orderBy(desc(revenue.amountCents)).limit(3)
  const least = await db.select().from(revenue).where(ofDate).orderBy(asc(revenue.amountCents)).limit(2)
  const rows = [...new Map([...most, ...least.toReversed()].map((row) => [row.userId, row])).values()]
  if (rows.length === 0) return { lines: [`the view revenue shows nothing of ${date}`], agrees: true }
  const { layout, sources } = plainShop
  const { table: purchases } = sources[0]
  const ids = rows.map((row) => row.userId)
  const sums = await db
    .select({
      userId: purchases.userId,
      amountCents: sql<string>`SUM(${purchases.amountCents})`,
      count: sql<string>`COUNT(*)`,
    })
    .from(purchases)
    .where(and(eq(purchases.purchasedOn, date), inArray(purchases.userId, ids)))
    .groupBy(purchases.userId)
  const sumOf = new Map(sums.map((sum) => [sum.userId, sum]))
  let agrees = true
  const cells = rows.map((row) => {
    const sum = sumOf.get(row.userId)
    const same = BigInt(sum?.amountCents ?? 0) === row.amountCents && Number(sum?.count) === row.purchases
    agrees &&= same
    return [
      String(row.userId),
      formatAmount(row.amountCents, layout.scale),
      formatCount(row.purchases),
      formatAmount(sum?.amountCents ?? "0", layout.scale),
      formatCount(BigInt(sum?.count ?? 0)),
      same ? "the same" : "DIFFERENT",
    ]
  })
  const titles = ["user", "revenue", "purchases", "summed up now", "purchases"]
  const columns = [...titles.map((title) => ({ title, align: right })), { title: "" }]
  return { lines: ["who spent most and least, in the view revenue", ...indent(renderTable(columns, cells))], agrees }
}

const TRUTH_SHOWN = 5

/** A few rows as readers see them, and whether all are what a plain statement on the shop's tables says. */
export async function showTruth(db: Database, shop: string): Promise<{ lines: string[]; agrees: boolean }> {
  const { columns, seen, expected } = await compareWithTruth(db, shop)
  const agrees = seen.length === expected.length && seen.every((line, at) => line === expected[at])
  const rows = seen.slice(0, TRUTH_SHOWN).map((line) => line.split(","))
  return {
    lines: [
      "some rows of the view revenue",
      ...indent(
        renderTable(
          columns.map((title) => ({ title, align: right })),
          rows,
        ),
      ),
      `${formatCount(seen.length)} rows in Revenue, ${formatCount(expected.length)} by test/shops/${shop}/truth.sql: ${agrees ? "all the same" : "DIFFERENT"}`,
    ],
    agrees,
  }
}

/** Where the evidence is; as files if the folder is kept. */
export function showPlaces(runId: string, bucket: string, folder: string | undefined): string[] {
  const at = (path: string) => (folder ? join(folder, "bucket", bucket, path) : `gs://${bucket}/${path}`)
  return [
    folder ? "kept as files" : "documents (gone with the local cloud; --keep keeps them as files)",
    ...indent(
      renderTable(
        [{ title: "" }, { title: "" }],
        [
          ["plan", at(planPath(runId))],
          ["manifests", at(manifestFolder(runId))],
          ["verdict", at(verdictPath(runId))],
          ...(folder ? [["logs", join(folder, "logs")]] : [["folder", `gs://${bucket}/${runFolder(runId)}`]]),
        ],
      ),
    ),
  ]
}

function indent(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
