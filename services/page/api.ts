import swagger from "@fastify/swagger"
import type { FastifyInstance } from "fastify"
import type { Database } from "../../shared/database/open-database.ts"
import { findYesterday } from "../../shared/day/revenue-day.ts"
import { describeDay } from "../../shared/ledger/days/describe-day.ts"
import { describeDuty } from "../../shared/ledger/duties/describe-duty.ts"
import { readDayDetail } from "./read-day.ts"
import { checkEnded, type PageSettings, readView, type View } from "./read-view.ts"

export interface ApiOptions {
  db: Database
  settings: PageSettings
  now: () => Date
}

// Counts and amounts may exceed 2^53, and are texts.
const text = { type: "string" }
const whole = { type: "integer" }
const instant = { type: "string", format: "date-time" }
const date = { type: "string", format: "date" }
const nullable = (schema: { type: string; format?: string }) => ({ ...schema, type: [schema.type, "null"] })
const object = (properties: Record<string, unknown>, optional: string[] = []) => ({
  type: "object",
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
})
const list = (items: unknown) => ({ type: "array", items })

const part = object(
  {
    currency: text,
    rows: text,
    purchases: text,
    amountCents: text,
    measures: { type: "object", additionalProperties: text },
  },
  ["currency", "rows", "measures"],
)
const daySchema = object({
  date,
  state: text,
  shown: {
    anyOf: [
      object(
        {
          version: whole,
          since: instant,
          users: text,
          purchases: text,
          amountCents: text,
          parts: list(part),
          auditedAt: nullable(instant),
        },
        ["users", "purchases", "amountCents", "parts"],
      ),
      { type: "null" },
    ],
  },
  newest: { anyOf: [object({ runId: text, version: whole, state: text }), { type: "null" }] },
  lateAt: nullable(instant),
  wants: nullable(text),
})
const versionSchema = object(
  {
    runId: text,
    version: whole,
    state: text,
    isShown: { type: "boolean" },
    requestedAt: instant,
    decidedAt: nullable(instant),
    askedBy: nullable(text),
    via: nullable(text),
    note: nullable(text),
    dispatch: whole,
    shardCount: nullable(whole),
    users: text,
    purchases: text,
    amountCents: text,
    changes: object({ fromVersion: whole, added: text, changed: text, removed: text }),
  },
  ["users", "purchases", "amountCents", "changes"],
)
const shardSchema = object(
  {
    index: whole,
    state: text,
    users: nullable(text),
    purchases: nullable(text),
    amountCents: nullable(text),
    tookMs: { type: "number" },
    execution: nullable(text),
    taskIndex: nullable(whole),
    attempt: nullable(whole),
    error: nullable(text),
  },
  ["tookMs"],
)
const runSchema = object(
  {
    runId: text,
    date,
    version: whole,
    state: text,
    shardCount: whole,
    shards: { type: "object", additionalProperties: whole },
    purchases: text,
    tasks: whole,
    elapsedMs: { type: "number" },
    throttled: nullable(text),
  },
  ["shardCount"],
)
const nowSchema = object(
  {
    asOf: instant,
    timeZone: text,
    headline: object({
      date,
      mood: { type: "string", enum: ["good", "bad", "open"] },
      sentence: text,
      details: list(text),
    }),
    failingDuties: list(
      object({
        name: text,
        effect: text,
        failures: whole,
        failingSince: nullable(instant),
        lastError: text,
        succeededAt: nullable(instant),
        next: text,
      }),
    ),
    wants: list(object({ date, action: text, reason: text }, ["reason"])),
    runs: list(runSchema),
    unfinished: whole,
    paused: { type: "boolean" },
    backfills: list(
      object({
        backfillId: text,
        from: date,
        to: date,
        state: text,
        days: { type: "object", additionalProperties: whole },
      }),
    ),
    days: list(daySchema),
  },
  ["headline"],
)
const detailSchema = object({
  day: daySchema,
  versions: list(versionSchema),
  shards: list(shardSchema),
  shardPage: whole,
  shardPages: whole,
})
const trouble = object({ error: text })

/** The page's data as JSON, and what it looks like as an OpenAPI document. */
export async function serveApi(server: FastifyInstance, { db, settings, now }: ApiOptions): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Daybook",
        version: "1",
        description:
          "The days of Revenue as readers see them. Counts, and amounts in minor units, are texts: they may exceed 2^53.",
      },
    },
  })
  // Within a plugin of its own: swagger sees the routes that come after it.
  await server.register(async (api) => {
    api.get(
      "/api/now",
      { schema: { summary: "What the page shows, but for the one day", response: { 200: nowSchema, "5xx": trouble } } },
      async () => describeView(await readView(db, settings, {}, now())),
    )
    api.get<{ Params: { date: string }; Querystring: { version?: number; shards?: number } }>(
      "/api/days/:date",
      {
        schema: {
          summary: "A day with its versions, and twenty shards of one of them",
          params: object({ date }),
          querystring: object({ version: whole, shards: { ...whole, description: "which twenty shards, from 1" } }, [
            "version",
            "shards",
          ]),
          response: { 200: detailSchema, "4xx": trouble, "5xx": trouble },
        },
      },
      async ({ params, query }) => {
        const ended = checkEnded(params.date, findYesterday(now(), settings.timeZone).date)
        const detail = await readDayDetail(db, ended, { version: query.version, shardPage: query.shards })
        const { day, versions, shards, shardPage, shardPages } = detail
        return {
          day: toText(describeDay(day)),
          versions: versions.map(toText),
          shards: shards.map(toText),
          shardPage,
          shardPages,
        }
      },
    )
    api.get("/api/openapi.json", { schema: { hide: true } }, () => server.swagger())
  })
}

function describeView(view: View) {
  const { now, timeZone, headline, failingDuties, wants, atWork, unfinished, pause, backfills, days, begun } = view
  return {
    asOf: now,
    timeZone,
    headline,
    failingDuties: failingDuties.map(describeDuty),
    wants: wants.map(({ day, want }) => ({ date: day.date, action: want.action, reason: want.reason })),
    runs: atWork.map(({ progress, throttled }) => ({ ...(toText(progress) as object), throttled })),
    unfinished,
    paused: pause !== undefined,
    backfills: backfills.map(({ backfill: { backfillId, fromDate, toDate, state }, counts }) => ({
      backfillId,
      from: fromDate,
      to: toDate,
      state,
      days: counts,
    })),
    days: days.filter((day) => begun !== undefined && day.date >= begun).map((day) => toText(describeDay(day))),
  }
}

/** Every bigint as a text, whatever it is in. */
function toText(value: unknown): unknown {
  if (typeof value === "bigint") return String(value)
  if (value instanceof Date || typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(toText)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toText(one)]))
}
