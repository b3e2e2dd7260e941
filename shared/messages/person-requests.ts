import * as v from "valibot"
import type { BackfillKind } from "../../schemas/database/ledger.ts"
import { PermanentError } from "../errors.ts"

/*
 * What a person may request, by command line, page or API: of each its fields, as they are typed or a form has them, and
 * what they must be. What a fault says follows the field's name. format-request.ts makes the messages of them.
 */

/** Of which days a backfill may be, and how a person reads that. */
export const backfillKindNames: Record<BackfillKind, string> = {
  missing: "missing",
  incomplete: "incomplete",
  drifted: "drifted",
  all: "of any kind",
}
export const backfillOrders = ["newest-first", "oldest-first"] as const

export const RUNS_AT_ONCE = 2
export const RUNS_AT_ONCE_MAX = 100

// More is said by naming none: then all that the verdict found wanting are meant.
const SHARDS_NAMED_MAX = 10_000
const SHARD_INDEX_MAX = 2 ** 31 - 1

const date = v.pipe(v.string(), v.isoDate("is not of the form YYYY-MM-DD"))
const dateOrYesterday = v.pipe(
  v.string(),
  v.check((text) => text === "yesterday" || v.is(date, text), 'is neither of the form YYYY-MM-DD nor "yesterday"'),
)
/** A date, by which its newest run is meant, or a run's id: the planner makes that of the date and the message's id. */
const run = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}(-[\w.~-]{1,53})?$/, "is neither a date of the form YYYY-MM-DD nor a run's id"),
)
const backfill = v.pipe(v.string(), v.regex(/^[\w.-]{1,96}$/, "is not a backfill's id"))
const until = v.pipe(
  v.string(),
  v.check(
    (text) => /^\d{4}-\d{2}-\d{2}T/.test(text) && !Number.isNaN(Date.parse(text)),
    "is not a time such as 2026-11-22T18:00:00Z",
  ),
)
const shards = v.pipe(
  v.string(),
  v.transform((text) => text.split(",").map((part) => part.trim())),
  v.maxLength(SHARDS_NAMED_MAX, `names more than ${SHARDS_NAMED_MAX} shards`),
  v.array(whole(0, SHARD_INDEX_MAX)),
)
const runsAtOnce = whole(1, RUNS_AT_ONCE_MAX)

function whole(least: number, most: number) {
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,10}$/, `is not a whole number from ${least} to ${most}`),
    v.transform(Number),
    v.minValue(least, `is not a whole number from ${least} to ${most}`),
    v.maxValue(most, `is not a whole number from ${least} to ${most}`),
  )
}

/** The fields one by one, as a command line takes them. */
export const requestFields = { date, dateOrYesterday, run, backfill, until, shards, runsAtOnce }

const requests = v.variant("do", [
  v.object({ do: v.literal("start"), date: dateOrYesterday }),
  v.object({ do: v.literal("rerun"), run, shards: v.optional(shards) }),
  v.object({ do: v.literal("release"), run }),
  v.object({ do: v.literal("cancel"), run }),
  v.object({ do: v.literal("cancel"), backfill }),
  v.object({ do: v.literal("pause"), backfill: v.optional(backfill), until: v.optional(until) }),
  v.object({ do: v.literal("resume"), backfill: v.optional(backfill) }),
  v.object({
    do: v.literal("backfill"),
    from: date,
    to: date,
    which: v.optional(v.picklist(Object.keys(backfillKindNames) as BackfillKind[]), "missing"),
    order: v.optional(v.picklist(backfillOrders), "newest-first"),
    runsAtOnce: v.optional(runsAtOnce, String(RUNS_AT_ONCE)),
  }),
  v.object({ do: v.literal("audit"), from: dateOrYesterday, to: dateOrYesterday }),
])

export type PersonRequest = v.InferOutput<typeof requests>

/** Reads the fields of a link, a form or a document; undefined if they request nothing. Throws a PermanentError for what is wrong. */
export function readRequest(fields: Record<string, unknown>): PersonRequest | undefined {
  if (fields["do"] === undefined || fields["do"] === "") return undefined
  const read = v.safeParse(requests, fields)
  if (!read.success) {
    const [issue] = read.issues
    throw new PermanentError(`${v.getDotPath(issue) ?? "the request"}: ${issue.message}`)
  }
  if ("from" in read.output) checkOrder(read.output)
  return read.output
}

/** Throws a PermanentError for dates of which the last is before the first. */
export function checkOrder({ from, to }: { from: string; to: string }): void {
  if (from > to) throw new PermanentError(`the first date, ${from}, is after the last, ${to}`)
}

/** The fields of a request, of which it can be read again. */
export function requestTexts(request: PersonRequest): Record<string, string> {
  const given = Object.entries(request).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]))
}

/** How a message names a run. A date is as long as it is; a run's id is longer. */
export function nameRun(run: string): { case: "date" | "runId"; value: string } {
  return { case: run.length === "YYYY-MM-DD".length ? "date" : "runId", value: run }
}
