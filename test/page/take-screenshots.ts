import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromium } from "playwright-core"
import { createScratchDatabase } from "../../services/local/database/scratch-database.ts"
import { startDatabaseServer } from "../../services/local/database/start-server.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { addDays } from "../../shared/day/revenue-day.ts"
import { browserArgs } from "../fixtures/browser-args.ts"
import { findChromium } from "../fixtures/find-chromium.ts"
import { addBackfill, addLate, fillLedger, type LedgerDay, startPage } from "../fixtures/page-fixture.ts"

/*
 * Takes the pictures of the page that the README shows: `npm run screenshots`. What is on them is written into a ledger
 * by hand, so that they are the same each time.
 */

const out = new URL("../../services/page/screenshots/", import.meta.url).pathname
const yesterday = "2026-11-24"

/** A shop that sells more at weekends. */
const days: LedgerDay[] = Array.from({ length: 42 }, (_, n) => {
  const date = addDays(yesterday, -n)
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay()
  const base = [1_900, 900, 950, 1_000, 1_100, 1_400, 2_100][weekday] ?? 1_000
  const cents = base * 100_000 + ((n * 7_919) % 97) * 123_457
  return { date, amountCents: String(cents), purchases: BigInt(Math.round(cents / 6_443)) }
})

const verdict = JSON.stringify({
  verdict: "complete",
  runId: `${yesterday}-1`,
  date: yesterday,
  version: 1,
  dispatch: 0,
  requestId: "1",
  decidedAt: "2026-11-25T00:12:00.000Z",
  shards: 60,
  manifests: { rows: "4367", purchases: "14941", amountCents: days[0]?.amountCents },
  revenue: { rows: "4367", purchases: "14941", amountCents: days[0]?.amountCents },
  source: { purchases: "14941", amountCents: days[0]?.amountCents },
  guests: { purchases: "590", amountCents: "3916294" },
  faults: [],
})

const [newest, ...older] = days
const whole: LedgerDay[] = [
  { ...newest, date: yesterday, verdict, shardCount: 60, askedBy: "Ada", note: "for the quarter's report" },
  ...older,
]
const troubled = whole.map((day, n): LedgerDay => {
  if (n === 0) return { ...day, state: "held", shown: null, verdict: null }
  if (n === 3) return { ...day, shown: "drifted" }
  if (n === 6) return { ...day, state: "incomplete", shown: null }
  return day
})
const running = whole.map(
  (day, n): LedgerDay => (n === 0 ? { ...day, state: "running", shown: null, verdict: null, shardCount: 60 } : day),
)

const pictures = [
  { name: "whole", ledger: whole, path: "/" },
  {
    name: "troubled",
    ledger: troubled.filter((_, n) => n !== 12),
    path: `/?day=${yesterday}&do=release&run=${yesterday}-1`,
  },
  { name: "running-dark", ledger: running, path: "/", dark: true },
] as const

const program = await findChromium()
if (program === undefined) process.exit(1)
const folder = await mkdtemp(join(tmpdir(), "daybook-screenshots-"))
const server = await startDatabaseServer({ folder })
const browser = await chromium.launch({ executablePath: program, args: browserArgs })
try {
  for (const { name, ledger, path, ...look } of pictures) {
    const scratch = await createScratchDatabase(server.url)
    const { url } = scratch
    await migrateDatabase(url)
    const database = openDatabase({ url, connectionsMax: 2 })
    await fillLedger(database, [...ledger])
    if (name === "troubled") await addLate(database, yesterday)
    if (name === "running-dark") await addBackfill(database, ["2026-10-01", "2026-10-02", "2026-10-03"])
    const settings = { timeZone: "Europe/Berlin", firstDate: undefined, deadline: "06:00", scale: 2 }
    const page = await startPage({ ...database, url }, { settings })
    const tab = await browser.newPage({
      viewport: { width: 1_000, height: 800 },
      colorScheme: "dark" in look ? "dark" : "light",
    })
    await tab.goto(`${page.url}${path}`)
    await tab.screenshot({
      path: join(out, `${name}.png`),
      fullPage: true,
      clip: { x: 0, y: 0, width: 1_000, height: name === "whole" ? 1_780 : 800 },
    })
    console.log(`services/page/screenshots/${name}.png`)
    await tab.close()
    await page.close()
    await database.close()
    await scratch.drop()
  }
} finally {
  await browser.close()
  await server.stop()
  await rm(folder, { recursive: true, force: true })
}
