import { enableCompileCache } from "node:module"
import { join } from "node:path"
import "../../shared/database/drizzle-as-commonjs.ts"

// With what was compiled the last time, drizzle takes 0.2 s on two cores, and the Google clients 0.25 s for those who send.
enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/daybook"))
const { runDaybook } = await import("./daybook.ts")

const interrupted = new AbortController()
// A person who interrupts twice does not want to wait for an orderly end.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort(signal))

// A reader that has seen enough (`… | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

process.exitCode = await runDaybook(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
})
// The Google clients keep channels open that nobody waits for.
process.exit()
