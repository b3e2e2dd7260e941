import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { promisify } from "node:util"

const run = promisify(execFile)

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
]
const find = () => [process.env["CHROMIUM"], ...places].find((path) => path !== undefined && existsSync(path))

const INSTALL_MS = 240_000

/** A Chromium that is there, or that Debian has, for root; undefined where there is none, which is said. */
export async function findChromium(): Promise<string | undefined> {
  const found = find()
  if (found !== undefined) return found
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    console.log("installing chromium (apt-get, for the tests of the page)")
    const apt = (...args: string[]) =>
      run("apt-get", ["-qq", ...args], {
        timeout: INSTALL_MS,
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      })
    try {
      await apt("update")
      await apt("install", "-y", "--no-install-recommends", "chromium")
    } catch (error) {
      console.log(`Chromium cannot be installed: ${String(error).split("\n")[0]}`)
    }
  }
  const installed = find()
  if (installed === undefined) console.log("There is no Chromium: tests of the page in a browser are skipped.")
  return installed
}
