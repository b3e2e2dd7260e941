import type { Shop } from "../../schemas/database/shop.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { findNextKey } from "../../shared/day/user-versions.ts"
import { listDutyErrors, replaceDutyError } from "../../shared/ledger/duties/duties.ts"
import { listMentions } from "../../shared/ledger/erasures/list-mentions.ts"
import { listUserBounds, moveBounds } from "../../shared/ledger/erasures/move-bounds.ts"
import { type Forgotten, listForms, mentions, scrubJson, scrubSentence } from "./scrub-text.ts"

/** Where a run's shards begin instead of at a user; undefined where no user comes after. */
export interface NextBound {
  dispatch: number
  nextKey: string | undefined
}

/** What became of the ledger's entries about a user. */
interface ForgottenEntries {
  changed: number
  /** Entries that another process changed meanwhile. */
  kept: string[]
}

/** Of each run of a date of which a shard begins at a user: the key at which it may do so instead. */
export async function findBounds(
  db: Database,
  shop: Shop,
  date: string,
  { spellings }: Forgotten,
): Promise<Map<string, NextBound>> {
  const bounds = new Map<string, NextBound>()
  for (const { runId, version, dispatch, key } of await listUserBounds(db, date, spellings)) {
    bounds.set(runId, { dispatch, nextKey: await findNextKey(db, { shop, revenueDate: date, version }, key) })
  }
  return bounds
}

const scrubs = { json: scrubJson, sentence: scrubSentence }

/** Takes a user out of the texts and ranges that the ledger has of a date. */
export async function forgetInLedger(
  db: Database,
  date: string,
  who: Forgotten,
  bounds: ReadonlyMap<string, NextBound>,
  dryRun: boolean,
): Promise<ForgottenEntries> {
  const entries: ForgottenEntries = { changed: 0, kept: [] }
  const count = (where: string, isChanged: boolean) => {
    if (isChanged) entries.changed++
    else entries.kept.push(where)
  }
  for (const { where, text, kind, replace } of await listMentions(db, date, listForms(who))) {
    const scrubbed = scrubs[kind](text, who)
    if (scrubbed !== text) count(where, dryRun || (await replace(scrubbed)))
  }
  for (const [runId, { dispatch, nextKey }] of bounds) {
    if (nextKey === undefined) continue
    count(`ranges of run ${runId}`, dryRun || (await moveBounds(db, { runId, dispatch }, who.spellings, nextKey)))
  }
  return entries
}

/** Why a duty of the sweep failed, whatever the date; returns how many of these errors named the user. */
export async function forgetInDuties(db: Database, { spellings }: Forgotten, dryRun: boolean): Promise<number> {
  const naming = (await listDutyErrors(db)).filter(({ lastError }) => spellings.some((key) => mentions(lastError, key)))
  if (!dryRun) for (const error of naming) await replaceDutyError(db, error, "an error that named a forgotten user")
  return naming.length
}
