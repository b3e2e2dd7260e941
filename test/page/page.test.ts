import { gzipSync } from "node:zlib"
import { sql } from "drizzle-orm"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { allRows, openDatabase } from "../../shared/database/open-database.ts"
import { addDays } from "../../shared/day/revenue-day.ts"
import { recordDuties } from "../../shared/ledger/duties/duties.ts"
import { addBackfill, addLate, fillLedger, startPage } from "../fixtures/page-fixture.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"

const database = useTestDatabase()
let page: Awaited<ReturnType<typeof startPage>>
beforeAll(async () => {
  page = await startPage(database)
})
afterAll(() => page?.close())
afterEach(async () => {
  await database.forgetRuns()
  page.published.length = 0
})

const get = (path = "/", headers: Record<string, string> = {}) => fetch(`${page.url}${path}`, { headers })
const read = async (path = "/") => (await get(path)).text()
const post = (fields: Record<string, string>, headers: Record<string, string> = { "sec-fetch-site": "same-origin" }) =>
  fetch(`${page.url}/do`, {
    method: "POST",
    redirect: "manual",
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    body: new URLSearchParams(fields).toString(),
  })

const yesterday = "2026-11-24"
const markup = `<b>"bold"</b> & <script>alert(1)</script>`
const escaped = "&lt;b&gt;&quot;bold&quot;&lt;/b&gt; &amp; &lt;script&gt;alert(1)&lt;/script&gt;"

const verdict = JSON.stringify({
  verdict: "incomplete",
  runId: `${yesterday}-1`,
  date: yesterday,
  version: 1,
  dispatch: 0,
  requestId: "1",
  decidedAt: "2026-11-25T00:12:00.000Z",
  shards: 6,
  manifests: { rows: "5", purchases: "9007199254740993", amountCents: "92233720368547758070" },
  revenue: { rows: "5", purchases: "9007199254740993", amountCents: "92233720368547758070" },
  source: { purchases: "9007199254740994", amountCents: "92233720368547758071" },
  guests: { purchases: "1", amountCents: "-5" },
  faults: [{ index: 3, fault: "failed", reason: markup }],
  retry: { topic: "rerun-requests", data: "{}" },
})

describe("what it says", () => {
  test("in an empty ledger it says that there is nothing, and how there will be", async () => {
    expect(await read()).toContain("No day has been computed yet.")
  })

  test("days that want somebody are named, each with its one action", async () => {
    await fillLedger(database, [
      { date: yesterday, state: "held", shown: null },
      { date: "2026-11-23", shown: "drifted" },
      { date: "2026-11-22", state: "incomplete" },
      { date: "2026-11-20" },
    ])
    await addLate(database, yesterday)
    const text = await read()
    expect(text).toContain("Tuesday 24 November is held: a check objects to version 1.")
    const wants = /<section class="wants"[^]*?<\/section>/.exec(text)?.[0] ?? ""
    expect([...wants.matchAll(/<li class="(.*?)">/g)].map(([, state]) => state)).toEqual([
      "state-held",
      "state-drifted",
      "state-incomplete",
      "state-missing",
    ])
    expect(
      [...wants.matchAll(/do=(\w+)&amp;(?:run|date)=([\w-]+)/g)].map(([, action, of]) => `${action} ${of}`),
    ).toEqual([`release ${yesterday}-1`, "start 2026-11-23", "rerun 2026-11-22-1", "start 2026-11-21"])
    expect(wants).toContain("held, late")
  })

  test("a duty of the sweep that keeps failing is told with its reason, and what it says does nothing", async () => {
    await fillLedger(database, [{ date: yesterday }])
    const failure = { name: "prune-versions" as const, succeededAt: undefined, lastError: markup }
    await recordDuties(database.db, [{ ...failure, failures: 2, failingSince: new Date("2026-11-25T04:00:00Z") }])
    const answer = await get()
    expect(await answer.text()).not.toContain("prune-versions")
    await recordDuties(database.db, [{ ...failure, failures: 1, failingSince: new Date("2026-11-25T04:02:00Z") }])
    const text = await (await get("/", { "if-none-match": answer.headers.get("etag") ?? "" })).text()
    const wants = /<section class="wants"[^]*?<\/section>/.exec(text)?.[0] ?? ""
    expect(wants).toContain("failed 3 times in a row since 2026-11-25 04:00. Meanwhile rows of old versions stay")
    expect(wants).toContain(`Error: ${escaped}`)
    expect(wants).toContain("Fix the cause.")
    const { failingDuties } = (await (await get("/api/now")).json()) as { failingDuties: unknown[] }
    expect(failingDuties).toMatchObject([{ name: "prune-versions", failures: 3, lastError: markup }])
  })

  test("numbers have every digit, and what people wrote does nothing but stand there", async () => {
    await fillLedger(database, [
      { date: yesterday, state: "incomplete", verdict, note: markup, askedBy: markup, shardCount: 6, error: markup },
    ])
    const text = await read()
    expect(text).toContain("922,337,203,685,477,580.70")
    expect(text).toContain("9,007,199,254,740,993")
    expect(text.split(escaped).length - 1).toBe(4)
    expect(text).not.toContain("<script>alert")
    expect(text).not.toContain("<b>")
    const api = (await (await get(`/api/days/${yesterday}`)).json()) as { versions: unknown[]; shards: unknown[] }
    expect(api.versions).toMatchObject([{ amountCents: "92233720368547758070", note: markup }])
    expect(api.shards[0]).toMatchObject({ index: 3, state: "failed", error: markup })
  })

  test("a day that does not exist, is none or has not ended is refused with a sentence", async () => {
    await fillLedger(database, [{ date: yesterday }])
    for (const [day, said] of [
      ["2026-02-30", "The date 2026-02-30 does not exist"],
      ["nonsense", "is not of the form YYYY-MM-DD"],
      ["2026-11-25", "2026-11-25 has not ended yet"],
    ] as const) {
      const answer = await get(`/?day=${day}`)
      expect(answer.status).toBe(400)
      expect(await answer.text()).toContain(said)
    }
    expect((await get("/nothing")).status).toBe(404)
    expect((await get("/?do=start&date=soon")).status).toBe(400)
    expect((await get("/?do=rerun&run=unknown")).status).toBe(400)
  })

  test("what it links to is there, and every answer is for its reader alone", async () => {
    const answer = await get()
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(answer.headers.get("content-security-policy")).not.toContain("unsafe")
    const text = await answer.text()
    expect(text).not.toMatch(/ style=| onclick=|<style|<script>/)
    const links = [...text.matchAll(/(?:href|src)="(\/(?:assets|api)[^"]*)"/g)].map(([, path]) => path ?? "")
    expect(links.length).toBeGreaterThan(4)
    for (const path of links) expect((await get(path)).status).toBe(200)
  })

  test("names other than this machine's are not answered where nobody is asked who they are", async () => {
    const { request } = await import("node:http")
    const status = await new Promise((resolve) => {
      request(page.url, { headers: { host: "rebound.example:80" } }, (answer) => resolve(answer.statusCode)).end()
    })
    expect(status).toBe(403)
  })
})

/** A page with one connection, and what the server counts on it. */
async function startMeasured() {
  const own = openDatabase({ url: database.url, connectionsMax: 1 })
  const measured = await startPage({ ...database, db: own.db })
  const readStatus = async (name: string) => {
    const rows = allRows<{ Value: string }>(await own.db.execute(sql`SHOW SESSION STATUS LIKE ${name}`))
    return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
  }
  const close = async () => {
    await measured.close()
    await own.close()
  }
  return { page: measured, readStatus, close }
}

describe("how much it is", () => {
  const tenYears = Array.from({ length: 3_650 }, (_, n) => addDays(yesterday, -n))

  test("ten years of days, a run of 10,000 shards: the first view is at most 30 KB, and no page waits for the past", async () => {
    await fillLedger(
      database,
      tenYears.map((date, n) => ({ date, verdict, ...(n === 0 ? { shardCount: 10_000 } : {}) })),
    )
    const files = ["/", "/assets/page.css", "/assets/page.js", "/assets/idiomorph.js", "/assets/icon.svg"]
    const sizes = await Promise.all(files.map(async (path) => gzipSync(await read(path)).length))
    expect(sizes.reduce((a, b) => a + b)).toBeLessThan(30 * 1_024)
    expect((await get("/", { "accept-encoding": "gzip" })).headers.get("content-encoding")).toBe("gzip")
    // Rows that the server has read say it without a clock: 10,000 shards are counted, put into a strip and sorted.
    const { page: measured, readStatus, close } = await startMeasured()
    try {
      await (await fetch(measured.url)).text()
      const before = await readStatus("Handler_read_%")
      await (await fetch(measured.url)).text()
      expect((await readStatus("Handler_read_%")) - before).toBeLessThan(80_000)
    } finally {
      await close()
    }
  })

  test("a poll that finds nothing new is a 304 of one statement, and one that does is not", async () => {
    await fillLedger(database, [
      { date: yesterday },
      { date: "2026-11-23", state: "running", shown: null, shardCount: 8 },
    ])
    const { page: measured, readStatus, close } = await startMeasured()
    try {
      const etag = (await fetch(measured.url)).headers.get("etag") ?? ""
      const before = await readStatus("Com_select")
      expect((await fetch(measured.url, { headers: { "if-none-match": etag } })).status).toBe(304)
      expect((await readStatus("Com_select")) - before).toBe(1)
    } finally {
      await close()
    }
    for (const change of [
      "UPDATE shards SET state = 'claimed' WHERE shard_index = 1",
      "UPDATE runs SET throttled = 'THROTTLE_QUERY says 1' WHERE state = 'running'",
      "UPDATE published_days SET state = 'drifted'",
      "UPDATE runs SET state = 'incomplete' WHERE state = 'running'",
      "UPDATE controls SET paused = 1",
      "UPDATE controls SET paused = 0",
    ]) {
      const known = (await get()).headers.get("etag") ?? ""
      await database.query(change)
      expect((await get("/", { "if-none-match": known })).status).toBe(200)
    }
  })
})

describe("what can be asked for", () => {
  test("each action says first what it would do, and the form sends the command line's own message", async () => {
    await fillLedger(database, [
      { date: yesterday, state: "incomplete", verdict, shardCount: 6 },
      { date: "2026-11-23", state: "held", shown: null },
      { date: "2026-11-22", state: "running", shardCount: 8 },
      { date: "2026-11-20" },
    ])
    await addBackfill(database, ["2026-11-10", "2026-11-11", "2026-11-12"])
    const actions = [
      ["do=start&date=2026-11-21", "Compute Saturday 21 November", "run-requests", { date: "2026-11-21" }],
      [`do=rerun&run=${yesterday}-1`, "Rerun version 1", "rerun-requests", { runId: `${yesterday}-1`, shards: [] }],
      ["do=release&run=2026-11-23-1", "Show version 1", "release-requests", { runId: "2026-11-23-1" }],
      ["do=cancel&run=2026-11-22-1", "4 shards of 8 are done", "cancel-requests", { runId: "2026-11-22-1" }],
      ["do=cancel&backfill=1795", "1 day done stay", "cancel-requests", { backfillId: "1795" }],
      ["do=pause&backfill=1795", "2 wait until it goes on", "pause-requests", { paused: true, backfillId: "1795" }],
      ["do=pause", "Pause everything", "pause-requests", { paused: true }],
      ["do=resume", "Let everything go on", "pause-requests", { paused: false }],
      [
        "do=backfill&from=2026-11-20&to=2026-11-24&which=missing&runsAtOnce=3",
        "Compute 4 days",
        "backfill-requests",
        { from: "2026-11-20", to: yesterday, which: "missing", order: "newest-first", runsAtOnce: 3 },
      ],
    ] as const
    for (const [query, said, topic, message] of actions) {
      const text = await read(`/?day=${yesterday}&${query}`)
      const section = /<section class="do"[^]*?<\/section>/.exec(text)?.[0] ?? ""
      expect(section).toContain(said)
      const form = /<form method="post"[^]*?<\/form>/.exec(section)?.[0] ?? ""
      const fields = Object.fromEntries(
        [...form.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      )
      const answer = await post({ ...fields, note: "because" })
      expect(answer.status).toBe(303)
      const sent = page.published.at(-1)
      expect(sent).toMatchObject({ topic, asker: { askedBy: null, via: "page", note: "because" } })
      expect(JSON.parse(sent?.data ?? "")).toEqual(message)
      expect(await read(answer.headers.get("location") ?? "")).toContain(
        `Asked: message <code>message-${page.published.length}`,
      )
    }
    expect(page.published).toHaveLength(actions.length)
  })

  test("a double click is one request, and so is a form that is sent again", async () => {
    const fields = { do: "start", date: yesterday, form: "f-1", note: "" }
    const answers = await Promise.all([post(fields), post(fields), post(fields)])
    expect(new Set(answers.map((answer) => answer.headers.get("location"))).size).toBe(1)
    await post(fields)
    expect(page.published).toHaveLength(1)
  })

  test("a form of another site, or of nobody, is refused and sends nothing", async () => {
    const fields = { do: "start", date: yesterday, form: "f-2" }
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "none" },
      { origin: "https://evil.example" },
      { origin: "null" },
      {} as Record<string, string>,
    ]) {
      expect((await post(fields, headers)).status).toBe(403)
    }
    expect(page.published).toEqual([])
    expect((await post(fields, { origin: page.url })).status).toBe(303)
  })

  test("a form that says nothing or nonsense is refused with a sentence", async () => {
    for (const fields of [
      { form: "f-3" },
      { do: "start", form: "f-3", date: "soon" },
      { do: "drop", form: "f-3" },
      { do: "pause" },
    ]) {
      expect((await post(fields as Record<string, string>)).status).toBe(400)
    }
    expect(page.published).toEqual([])
  })

  test("a viewer has no action, and there is no way to ask for one", async () => {
    await fillLedger(database, [{ date: yesterday, state: "held", shown: null }, { date: "2026-11-22" }])
    const viewer = await startPage(database, { canAct: false })
    try {
      for (const path of ["/", `/?do=start&date=${yesterday}`]) {
        const text = await (await fetch(`${viewer.url}${path}`)).text()
        expect(text).toContain("is held")
        expect(text).not.toMatch(/do=|<form|<button/)
      }
      const sent = await fetch(`${viewer.url}/do`, { method: "POST", headers: { "sec-fetch-site": "same-origin" } })
      expect(sent.status).toBe(404)
    } finally {
      await viewer.close()
    }
  })
})

test("the same is there as JSON, as its OpenAPI document describes it", async () => {
  await fillLedger(database, [
    { date: yesterday },
    { date: "2026-11-22", state: "running", shown: null, shardCount: 4 },
  ])
  const document = (await (await get("/api/openapi.json")).json()) as {
    openapi: string
    paths: Record<string, unknown>
  }
  expect(document.openapi).toBe("3.1.0")
  expect(Object.keys(document.paths)).toEqual(["/api/now", "/api/days/{date}"])
  expect(await (await get("/api/now")).json()).toMatchObject({
    headline: { date: yesterday, mood: "good", sentence: "Tuesday 24 November is there." },
    wants: [{ date: "2026-11-23", action: "start" }],
    runs: [{ runId: "2026-11-22-1", state: "running", shards: { done: 2, offered: 2 } }],
    unfinished: 1,
    days: [
      { date: yesterday, shown: { amountCents: "125056979" } },
      { state: "missing" },
      { state: "running", shown: null },
    ],
  })
  expect(await (await get("/api/days/nonsense")).json()).toHaveProperty("error")
})

test("a database that is away is said, and the page comes back with it", async () => {
  const lost = await startPage(
    { ...database, url: "mysql://nobody@127.0.0.1:1/none" },
    {
      db: openDatabase({
        url: "mysql://nobody@127.0.0.1:1/none",
        connectionsMax: 1,
      }).db,
    },
  )
  try {
    const answer = await fetch(lost.url)
    expect(answer.status).toBe(503)
    const text = await answer.text()
    expect(text).toContain("127.0.0.1:1")
    expect(text).not.toMatch(/ at .*\.ts/)
  } finally {
    await lost.close()
  }
})
