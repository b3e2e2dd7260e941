import type { Database } from "../../../shared/database/open-database.ts"
import type { Throttle } from "../../../shared/database/throttle.ts"
import type { UserChange } from "../../../shared/day/compare-totals.ts"
import type { Sums } from "../../../shared/day/totals.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import type { Range } from "../../../shared/range.ts"
import { examineRange } from "../proof/examine-range.ts"
import { awaitShop } from "../proof/throttles.ts"
import type { Finding } from "./judge-run.ts"

const USERS_IN_REASON_MAX = 2

// Each is read once more. Where more shards have drifted than this, something has happened to the whole day, which the
// first of them tell as well.
const SHARDS_EXAMINED_MAX = 100

/** Says of each drifted shard which users differ, in its reason and by themselves. `ranges` are those of all shards. */
export async function nameUsers(
  db: Database,
  shopDb: Database,
  run: ShopRun,
  ranges: Range[],
  findings: Finding[],
  throttle: Throttle,
): Promise<Finding[]> {
  const named: Finding[] = []
  let examined = 0
  for (const finding of findings) {
    const range = finding.index === undefined ? undefined : ranges[finding.index]
    const isExamined = finding.kind === "drifted" && range && examined++ < SHARDS_EXAMINED_MAX
    if (isExamined) await awaitShop(throttle)
    named.push(isExamined ? { ...finding, ...(await examineShard(db, shopDb, run, range, finding.reason)) } : finding)
  }
  return named
}

async function examineShard(db: Database, shopDb: Database, run: ShopRun, range: Range, reason: string) {
  const { usersDiffering, users } = await examineRange(db, shopDb, run, range)
  return { reason: `${reason}; ${describeUsers(users, usersDiffering)}`, usersDiffering, users }
}

function describeUsers(users: UserChange[], count: bigint): string {
  if (count === 0n) return "when its users were looked at, the shop was again as it was computed"
  const first = users.slice(0, USERS_IN_REASON_MAX).map(describeUser).join(", ")
  const what = count === 1n ? "1 user differs" : `${count} users differ`
  return `${what}: ${first}${count > USERS_IN_REASON_MAX ? ", …" : ""}`
}

function describeUser({ userId, before, after }: UserChange): string {
  return `${userId} (Revenue has ${describeSums(before)}, the shop ${describeSums(after)})`
}

function describeSums(sums: Sums | undefined): string {
  return sums ? `${sums.amountCents} of ${sums.purchases}` : "nothing"
}
