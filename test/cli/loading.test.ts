import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { expect, test } from "vitest"

const program = new URL("../../services/cli/main.ts", import.meta.url).pathname

/** Prints the URL of each module of a package that is loaded. */
const printLoads = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module"
  registerHooks({
    load(url, context, next) {
      if (url.includes("/node_modules/")) console.error("loads " + url)
      return next(url, context)
    },
  })`)}`

test("a look at the days loads no client of Google's, no message and no telemetry, and drizzle not by the way that takes half a second", async () => {
  // Nothing answers there, but by then all is loaded.
  const env = { PATH: process.env["PATH"], DATABASE_URL: "mysql://root@127.0.0.1:9/shop" }
  const failure = await promisify(execFile)(process.execPath, ["--import", printLoads, program, "status"], {
    env,
  }).catch((error: unknown) => error as { stderr: string })
  const loaded = failure.stderr.split("\n").filter((line) => line.startsWith("loads "))
  expect(loaded.filter((line) => /@google-cloud|google-gax|@bufbuild|@opentelemetry/.test(line))).toEqual([])
  const drizzle = loaded.filter((line) => line.includes("/drizzle-orm/"))
  expect(drizzle).not.toEqual([])
  expect(drizzle.filter((line) => !line.endsWith(".cjs"))).toEqual([])
})
