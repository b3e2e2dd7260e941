import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { addDays } from "../../shared/day/revenue-day.ts"
import { browserPath, openBrowser, openTab } from "../fixtures/open-browser.ts"
import { addBackfill, addLate, fillLedger, startPage } from "../fixtures/page-fixture.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"

const yesterday = "2026-11-24"
const markup = `<img src=x onerror="document.title='hit'"> & <script>document.title='hit'</script>`

const findings = (messages: string[]) => messages.filter((message) => !message.startsWith("info"))

describe.skipIf(browserPath === "")("in a browser", () => {
  const database = useTestDatabase()
  let browser: Browser
  let page: Awaited<ReturnType<typeof startPage>>
  let axe: string
  beforeAll(async () => {
    browser = await openBrowser()
    page = await startPage(database)
    axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
  })
  afterAll(async () => {
    await browser?.close()
    await page?.close()
  })
  afterEach(async () => {
    await database.forgetRuns()
    page.published.length = 0
    for (const context of browser.contexts()) await context.close()
  })

  const fill = async () => {
    const days = Array.from({ length: 30 }, (_, n) => ({
      date: addDays(yesterday, -n),
      amountCents: String(100_000_000 + ((n * 37) % 11) * 9_000_000),
    }))
    const [first, , third, fourth, fifth, ...rest] = days
    await fillLedger(database, [
      {
        ...first,
        date: yesterday,
        state: "held",
        shown: null,
        note: markup,
        askedBy: markup,
        shardCount: 60,
        error: markup,
      },
      { ...third, date: addDays(yesterday, -2), shown: "drifted" },
      { ...fourth, date: addDays(yesterday, -3), state: "incomplete", shardCount: 5 },
      { ...fifth, date: addDays(yesterday, -4), state: "running", shown: null, shardCount: 40 },
      ...rest,
    ])
    await addLate(database, yesterday)
    await addBackfill(database, [addDays(yesterday, -40), addDays(yesterday, -41)])
  }

  const states = [
    ["a day and all that can be wrong", "/"],
    ["an action", `/?day=${yesterday}&do=backfill&from=2026-10-20&to=${yesterday}&which=all`],
    ["a day without a run", "/?day=2026-11-23"],
    ["an error", "/?day=2026-02-30"],
  ] as const

  test.each(["light", "dark"] as const)("nothing for axe to find, and no message, in %s", async (colorScheme) => {
    await fill()
    const { tab, complaints } = await openTab(browser, { colorScheme })
    for (const [, path] of states) {
      await tab.goto(`${page.url}${path}`)
      // In the page's own world a script would have to come from the page.
      const violations = await tab.evaluate<unknown[]>(
        `(() => { ${axe}; return axe.run().then((found) => found.violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])) })()`,
      )
      expect(violations).toEqual([])
      expect(await tab.title()).not.toBe("hit")
    }
    // That of the wrong date, which the browser tells by itself.
    expect(findings(complaints).filter((text) => !text.includes("400 (Bad Request)"))).toEqual([])
  })

  test("on a narrow screen nothing is wider than it, and nothing lies on anything else", async () => {
    await fill()
    const { tab } = await openTab(browser, { viewport: { width: 360, height: 740 } })
    for (const [, path] of states) {
      await tab.goto(`${page.url}${path}`)
      const wide = `[...document.querySelectorAll("body *")].filter((one) => !one.closest(".scroll > *") && one.getBoundingClientRect().right > 360).map((one) => one.outerHTML.slice(0, 100))`
      expect(await tab.evaluate(wide)).toEqual([])
      const cells = await tab.evaluate<{ inner: number; outer: number }[]>(
        `[...document.querySelectorAll(".calendar td a")].map((a) => ({ inner: a.scrollHeight, outer: a.parentElement.clientHeight + 1 }))`,
      )
      for (const { inner, outer } of cells) expect(inner).toBeLessThanOrEqual(outer)
    }
  })

  test("by the keyboard alone a person finds what a day wants, says why, and asks for it", async () => {
    await fill()
    const { tab } = await openTab(browser)
    await tab.goto(page.url)
    await tab.keyboard.press("Tab")
    expect(await focused(tab)).toBe("To the day")
    for (let n = 0; n < 40 && (await focused(tab)) !== "Show it as it is"; n++) await tab.keyboard.press("Tab")
    expect(await focused(tab)).toBe("Show it as it is")
    await tab.keyboard.press("Enter")
    await tab.waitForURL(/do=release/)
    for (let n = 0; n < 40 && (await focused(tab)) !== "note"; n++) await tab.keyboard.press("Tab")
    await tab.keyboard.type(markup)
    await tab.keyboard.press("Enter")
    await tab.getByText("Asked: message").waitFor()
    expect(page.published).toMatchObject([{ topic: "release-requests", asker: { via: "page", note: markup } }])
  })

  test("a double click is one request", async () => {
    await fillLedger(database, [{ date: yesterday }])
    const { tab } = await openTab(browser)
    await tab.goto(`${page.url}/?do=start&date=${yesterday}`)
    await tab.getByRole("button", { name: "Compute it" }).dblclick()
    await tab.getByText("Asked: message").waitFor()
    expect(page.published).toHaveLength(1)
  })

  test("without JavaScript all of it works", async () => {
    await fill()
    const { tab } = await openTab(browser, { javaScriptEnabled: false })
    await tab.goto(page.url)
    await tab.getByRole("link", { name: "Monday 23 November missing" }).click()
    await tab.getByRole("heading", { name: /^Monday 23 November/ }).waitFor()
    await tab.getByRole("link", { name: "Compute it", exact: true }).last().click()
    await tab.getByRole("textbox", { name: /Why/ }).fill("it is missing")
    await tab.getByRole("button", { name: "Compute it" }).click()
    await tab.getByText("Asked: message").waitFor()
    expect(page.published).toMatchObject([{ data: '{"date":"2026-11-23"}', asker: { note: "it is missing" } }])
  })

  test("a form of another site is refused, whatever the browser sends with it", async () => {
    await fillLedger(database, [{ date: yesterday }])
    const { tab } = await openTab(browser)
    const form = `<form method="post" action="${page.url}/do"><input name="do" value="start"><input name="date" value="${yesterday}"><input name="form" value="x"><button>Win</button></form>`
    await tab.route("http://evil.example/", (route) => route.fulfill({ contentType: "text/html", body: form }))
    await tab.goto("http://evil.example/")
    await tab.getByRole("button").click()
    await tab.getByText("Requests are only taken from this page.").waitFor()
    expect(page.published).toEqual([])
  })

  test("what is written while the page goes on is kept: an open form is not changed", async () => {
    await fillLedger(database, [
      { date: yesterday },
      { date: "2026-11-22", state: "running", shown: null, shardCount: 8 },
    ])
    const { tab } = await openTab(browser)
    await tab.goto(`${page.url}/?do=start&date=${yesterday}`)
    await tab.getByRole("textbox").fill("half a no")
    await database.query("UPDATE shards SET state = 'done'")
    await tab.waitForTimeout(2_500)
    expect(await tab.getByRole("textbox").inputValue()).toBe("half a no")
  })

  const focused = (tab: Page) =>
    tab.evaluate<string>("document.activeElement.textContent.trim() || document.activeElement.name || ''")
})

describe.skipIf(browserPath === "")("on the local cloud", () => {
  let browser: Browser
  let pipeline: Pipeline
  beforeAll(async () => {
    browser = await openBrowser()
    pipeline = await startPipeline({ pagePort: 0, shardPurchases: 20 })
    await pipeline.query(...purchasesOf(120, 5))
  })
  afterAll(async () => {
    await browser?.close()
    await pipeline?.stop()
  })

  test("a person asks for a day and sees it come, from planning to complete, without doing anything", async () => {
    const url = pipeline.cloud.page?.url ?? ""
    // Its tasks come to the end of their first shards, and wait.
    const released = Promise.withResolvers<void>()
    const remove = pipeline.cloud.storage.faults.add({
      matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
      before: () => released.promise,
    })
    const { tab, complaints } = await openTab(browser)
    await tab.goto(`${url}/?day=${date}`)
    await tab.getByText("No day has been computed yet.").waitFor()
    await tab.goto(`${url}/?day=${date}&do=start&date=${date}`)
    await tab.getByRole("textbox").fill("for the report")
    await tab.getByRole("button", { name: "Compute it" }).click()
    await tab.getByText("Asked: message").waitFor()
    await tab.getByText(/\d of \d+ shards/).waitFor()
    expect(await tab.locator(".run strong").textContent()).toMatch(/planning|running/)
    remove()
    released.resolve()
    await tab.getByText("complete, shown").waitFor()
    await tab.getByText("Nothing runs.").waitFor()
    expect(await tab.getByRole("cell", { name: "for the report" }).count()).toBe(1)
    const rows = await tab.locator("h3:has-text('The proof') + .scroll tbody tr").allTextContents()
    expect(rows).toHaveLength(5)
    await pipeline.expectRevenue()
    expect(findings(complaints)).toEqual([])
  })

  test("a request that is rejected is told on the page that sent it", async () => {
    const url = pipeline.cloud.page?.url ?? ""
    const { tab } = await openTab(browser)
    const [run] = await pipeline.query<{ run_id: string }>("SELECT run_id FROM runs")
    await tab.goto(`${url}/?day=${date}&do=release&run=${run?.run_id ?? ""}`)
    await tab.getByRole("button", { name: "Show it" }).click()
    await tab.getByRole("alert").waitFor()
    expect(await tab.getByRole("alert").textContent()).toMatch(/was rejected: .*complete/)
  })

  test("the server dies, which is said, and comes back, which needs nobody", async () => {
    const { page } = pipeline.cloud
    const { tab } = await openTab(browser)
    await tab.goto(`${page?.url ?? ""}/?day=${date}&asked=1&topic=run-requests`)
    await page?.stop()
    await tab.getByText("The page has not been reached").waitFor()
    // As Cloud Run would: the same address, another process.
    const { servePage } = await import("../../services/page/serve-page.ts")
    const { createLog } = await import("../../shared/telemetry/log.ts")
    const { openBucket } = await import("../../shared/google/open-bucket.ts")
    const again = await servePage({
      db: pipeline.db,
      bucket: openBucket({
        BUCKET: "daybook",
        STORAGE_EMULATOR_HOST: pipeline.cloud.env["STORAGE_EMULATOR_HOST"],
      }),
      log: await createLog("page", "silent"),
      port: Number(new URL(page?.url ?? "").port),
      host: "127.0.0.1",
      settings: { timeZone: "UTC", firstDate: undefined, deadline: undefined, scale: 2 },
      project: "local",
      databaseUrl: pipeline.databaseUrl,
    })
    try {
      await tab.locator("#lost").waitFor({ state: "hidden" })
    } finally {
      await again.close()
    }
  })
})
