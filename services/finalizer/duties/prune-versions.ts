import type { Shop } from "../../../schemas/database/shop.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { deleteRows } from "../../../shared/day/revenue-rows.ts"
import type { Version } from "../../../shared/ledger/runs/find-runs.ts"
import { listPrunableRuns, markPruned } from "../../../shared/ledger/runs/prune-run.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { createWalk } from "./walk-list.ts"

export interface PruneContext {
  db: Database
  shop: Shop
  log: Log
  /** How many versions of a date keep their rows. */
  versionsKept: number
}

// A batch is one short transaction: replicas and other writers are not kept waiting.
const ROWS_PER_DELETE = 5_000

// Of one version at each call, so that a big one does not keep the others waiting.
const DELETES_PER_VERSION_MAX = 50

const VERSIONS_PER_CALL = 10

/** Makes the function that deletes the rows of versions which no reader sees any more. */
export function createPruning({ db, shop, log, versionsKept }: PruneContext): () => Promise<"more" | void> {
  async function prune(run: Version): Promise<void> {
    for (let deletes = 0; deletes < DELETES_PER_VERSION_MAX; deletes++) {
      if ((await deleteRows(db, { ...run, shop }, ROWS_PER_DELETE)) === ROWS_PER_DELETE) continue
      await markPruned(db, run.runId)
      log.info({ runId: run.runId, version: run.version }, "the rows of a version no longer shown are deleted")
      return
    }
  }
  return createWalk({
    list: (after) => listPrunableRuns(db, versionsKept, VERSIONS_PER_CALL, after?.runId),
    pageSize: VERSIONS_PER_CALL,
    work: prune,
  })
}
