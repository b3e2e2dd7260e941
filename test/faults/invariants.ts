import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import type { Connection, RowDataPacket } from "mysql2/promise"
import { type AuditEntry, readAudit } from "./audit.ts"

/*
 * What must hold when a case is over, found out from the tables, the bucket's folder and the messages alone: nothing
 * here uses the code that is tested.
 */

/** A verdict message, as JSON. */
export interface SentVerdict {
  verdict: string
  runId?: string
  date?: string
  dispatch?: number
  requestId?: string
  [field: string]: unknown
}

export interface Evidence {
  connection: Connection
  /** The folder of the bucket. */
  bucket: string
  /** Every verdict message sent so far. */
  verdicts: SentVerdict[]
  /** Names of the subscriptions that exist. */
  subscriptions: string[]
}

const decidedStates = ["complete", "incomplete", "held", "cancelled"]

/** Rows as `user,amount,purchases` lines, in the order of the users. */
export async function readView(connection: Connection, date: string): Promise<string[]> {
  return readLines(
    connection,
    "SELECT user_id, amount_cents, purchases FROM revenue WHERE revenue_date = ? ORDER BY user_id",
    date,
  )
}

/** What the view should say of a UTC date: computed from the shop in a way that no index serves, and no shard. */
export async function readShop(connection: Connection, date: string): Promise<string[]> {
  return readLines(
    connection,
    `SELECT user_id, SUM(amount_cents), COUNT(*) FROM purchases
     WHERE CAST(purchased_at AS CHAR) LIKE ? AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id`,
    `${date} %`,
  )
}

/** Of each date that readers see, a digest of its rows. */
export async function digestDates(connection: Connection): Promise<Map<string, string>> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT CAST(revenue_date AS CHAR) AS date, COUNT(*) AS n, SUM(CRC32(CONCAT_WS(',', user_id, amount_cents, purchases))) AS sum
     FROM revenue GROUP BY revenue_date`,
  )
  return new Map(rows.map((row) => [String(row["date"]), `${row["n"]}/${row["sum"]}`]))
}

/**
 * What is wrong with the evidence of a date whose newest run is over. `expected` is what readers must see; `complete`
 * whether the newest run must be; `wentBack` whether commits were lost, of which others were told.
 */
export async function findFaults(
  evidence: Evidence,
  date: string,
  expected: { rows: string[]; complete: boolean; wentBack?: boolean },
): Promise<string[]> {
  const { connection } = evidence
  const faults: string[] = []
  const seen = await readView(connection, date)
  if (seen.join("\n") !== expected.rows.join("\n")) {
    faults.push(
      `wrong rows: readers see ${seen.length} rows of ${date} that are not the ${expected.rows.length} expected`,
    )
  }
  const [runs] = await connection.query<RowDataPacket[]>(
    "SELECT run_id, version, state, dispatch, shard_count, announced_at FROM runs WHERE revenue_date = ? ORDER BY version",
    [date],
  )
  for (const run of runs) {
    if (!decidedStates.includes(run["state"] as string) || run["announced_at"] === null) {
      faults.push(`stuck run: ${run["run_id"]} is ${run["state"]}, announced at ${run["announced_at"]}`)
    }
  }
  const newest = runs.at(-1)
  if (!newest) return [...faults, `stuck run: ${date} has no run`]
  const runId = String(newest["run_id"])
  if (expected.complete !== (newest["state"] === "complete")) {
    faults.push(`wrong verdict: ${runId} is ${newest["state"]}`)
  }
  if (expected.wentBack !== true) {
    const audit = await readAudit(connection, date)
    faults.push(...findDoubles(audit), ...findMisjudged(audit, evidence.verdicts, date))
  }
  if (newest["state"] === "complete") {
    faults.push(...(await findManifestFaults(evidence, date, runId, Number(newest["version"]))))
    const document = JSON.parse(await readText(evidence, date, runId, "verdict.json")) as SentVerdict
    if (document.verdict !== "complete") faults.push(`wrong verdict: the document of ${runId} says ${document.verdict}`)
  }
  for (const run of runs) {
    if (run["state"] !== "incomplete" && evidence.subscriptions.includes(`run-${run["run_id"]}`)) {
      faults.push(`left over: the subscription of the ${run["state"]} run ${run["run_id"]}`)
    }
  }
  return faults
}

/** Whatever landed twice: a shard of a dispatch, the decision on a dispatch, a publication that goes back. */
function findDoubles(audit: AuditEntry[]): string[] {
  const faults: string[] = []
  const seen = new Set<string>()
  for (const { event, runId, dispatch, shard } of audit) {
    if (event === "published") continue
    // What was held and is released has two verdicts.
    const verdict = event === "held" ? "a held verdict" : "a verdict"
    const key = event === "done" ? `shard ${shard} of dispatch ${dispatch}` : `${verdict} on dispatch ${dispatch}`
    if (seen.has(`${runId} ${key}`)) faults.push(`done twice: ${key} of ${runId}`)
    seen.add(`${runId} ${key}`)
  }
  const versions = audit.filter(({ event }) => event === "published").map(({ version }) => version ?? 0)
  if (versions.some((version, at) => version <= (versions[at - 1] ?? 0))) {
    faults.push(`wrong rows: versions were published in the order ${versions.join(", ")}`)
  }
  return faults
}

/** Every decision must have been sent, as it was decided and nothing else; a complete one is what publishes. */
function findMisjudged(audit: AuditEntry[], verdicts: SentVerdict[], date: string): string[] {
  const faults: string[] = []
  const decisions = audit.filter(({ event }) => decidedStates.includes(event))
  const sent = verdicts.filter((verdict) => verdict.date === date && verdict.verdict !== "rejected")
  for (const { event, runId, dispatch } of decisions) {
    const told = sent.filter(
      (verdict) => verdict.runId === runId && (verdict.dispatch ?? 0) === dispatch && verdict.verdict === event,
    )
    if (told.length === 0) faults.push(`wrong verdict: the one on dispatch ${dispatch} of ${runId} was never sent`)
    if (new Set(told.map((verdict) => JSON.stringify(verdict))).size > 1) {
      faults.push(`wrong verdict: two different ones were sent on dispatch ${dispatch} of ${runId}`)
    }
    const published = audit.some((entry) => entry.event === "published" && entry.runId === runId)
    if (event === "complete" && !published) faults.push(`wrong verdict: ${runId} is complete and not published`)
  }
  for (const verdict of sent) {
    const decided = decisions.some(
      (entry) =>
        entry.runId === verdict.runId && entry.dispatch === (verdict.dispatch ?? 0) && entry.event === verdict.verdict,
    )
    if (!decided) faults.push(`wrong verdict: one was sent on ${verdict.runId} that was not decided`)
  }
  for (const { event, runId } of audit) {
    if (event === "published" && !decisions.some((entry) => entry.runId === runId && entry.event === "complete")) {
      faults.push(`wrong verdict: ${runId} was published and is not complete`)
    }
  }
  return faults
}

interface Manifest {
  index?: number
  from?: string
  to?: string
  rows?: string
  purchases?: string
  amountCents?: string
  checksum?: string
  epoch?: number
}

/** One manifest for each shard of the plan, tiling the ids, each equal to the rows that are there. */
async function findManifestFaults(evidence: Evidence, date: string, runId: string, version: number): Promise<string[]> {
  const faults: string[] = []
  const plan = JSON.parse(await readText(evidence, date, runId, "plan.json")) as {
    shards: Manifest[]
    checksumMultipliers: string
  }
  const weigh = createWeights(plan.checksumMultipliers)
  const names = await readdir(join(evidence.bucket, "runs", date, runId, "shards"))
  const expectedNames = plan.shards.map((_shard, index) => `${index}.json`)
  if (names.toSorted().join() !== expectedNames.toSorted().join()) {
    faults.push(`wrong manifests: ${runId} has ${names.join(", ")} for ${plan.shards.length} shards`)
    return faults
  }
  const [rows] = await evidence.connection.query<RowDataPacket[]>(
    `SELECT CAST(user_id AS CHAR) AS user, CAST(amount_cents AS CHAR) AS amount, purchases FROM revenue_versions
     WHERE revenue_date = ? AND version = ?`,
    [date, version],
  )
  const [shards] = await evidence.connection.query<RowDataPacket[]>(
    "SELECT epoch FROM shards WHERE run_id = ? ORDER BY shard_index",
    [runId],
  )
  let end: string | undefined
  for (const [index] of plan.shards.entries()) {
    const manifest = JSON.parse(await readText(evidence, date, runId, `shards/${index}.json`)) as Manifest
    if (manifest.epoch !== shards[index]?.["epoch"]) {
      faults.push(`wrong manifests: shard ${index} of ${runId} has one of epoch ${manifest.epoch}`)
    }
    if (manifest.from !== end) faults.push(`wrong manifests: a gap before shard ${index} of ${runId}`)
    end = manifest.to
    const { from, to } = manifest
    const own = rows.filter(
      ({ user }) =>
        (from === undefined || BigInt(user) >= BigInt(from)) && (to === undefined || BigInt(user) < BigInt(to)),
    )
    const add = (amount: (row: RowDataPacket) => bigint | number) =>
      own.reduce((sum, row) => sum + BigInt(amount(row)), 0n)
    const found = [
      String(own.length),
      add((row) => row["purchases"] as number),
      add((row) => BigInt(row["amount"] as string)),
      add((row) => (BigInt(row["amount"]) + BigInt(row["purchases"]) * 2n ** 100n) * weigh(row["user"] as string)),
    ].join("/")
    const { rows: count = "0", purchases = "0", amountCents = "0", checksum = "0" } = manifest
    const promised = [count, purchases, amountCents, checksum].join("/")
    if (found !== promised)
      faults.push(`wrong manifests: shard ${index} of ${runId} says ${promised}, its rows ${found}`)
  }
  if (end !== undefined) faults.push(`wrong manifests: those of ${runId} end at ${end}`)
  return faults
}

/** As schemas/documents/manifest.proto says. */
function createWeights(multipliers: string): (user: string) => bigint {
  const [a = 0n, b = 0n, c = 0n, d = 0n] = multipliers.split(",").map(BigInt)
  return (user) => {
    const id = BigInt.asUintN(64, BigInt(user))
    const [high, low] = [id >> 32n, id & 0xffff_ffffn]
    const hash = (x: bigint, y: bigint) => BigInt(crc32(String(low * x + high * y)))
    return (hash(a, b) << 31n) + (hash(c, d) >> 1n)
  }
}

function readText(evidence: Evidence, date: string, runId: string, name: string): Promise<string> {
  return readFile(join(evidence.bucket, "runs", date, runId, name), "utf8")
}

async function readLines(connection: Connection, statement: string, date: string): Promise<string[]> {
  const [rows] = await connection.query<RowDataPacket[]>(statement, [date])
  return rows.map((row) => Object.values(row).map(String).join(","))
}
