import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { inject } from "vitest"
import { browserArgs } from "./browser-args.ts"

/** "" where there is no Chromium; tests that need one are skipped then. */
export const browserPath = inject("chromium")

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: browserPath, args: browserArgs })

/** A page in a browser of its own making, and all that it complains of. */
export async function openTab(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<{ tab: Page; complaints: string[] }> {
  const context = await browser.newContext(options)
  const tab = await context.newPage()
  const complaints: string[] = []
  tab.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`))
  tab.on("pageerror", (error) => complaints.push(error.message))
  return { tab, complaints }
}
