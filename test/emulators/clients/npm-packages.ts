import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, rename, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { homedir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { run } from "./client.ts"

/*
 * Packages that no program here needs, of which one version is as good as another: they are installed when they are first
 * tried, outside of the repository, and stay there.
 */

// It takes one on a machine that has nothing else to do.
const INSTALL_SECONDS_MAX = 240

export interface NpmPackages {
  folder: string
  /** A package as a program in that folder imports it. Its types are not known here. */
  // biome-ignore lint/suspicious/noExplicitAny: see above
  load: (name: string) => Promise<any>
}

/** Installs packages, such as `{ "@google-cloud/storage": "7" }`; a sentence where that is not possible. */
export async function installPackages(versions: Record<string, string>): Promise<NpmPackages | string> {
  const wanted = Object.entries(versions).map(([name, version]) => `${name}@${version}`)
  const hash = createHash("sha256").update(wanted.join()).digest("hex").slice(0, 12)
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache")
  const folder = join(cache, "daybook", `clients-${hash}`)
  if (!existsSync(folder)) {
    const partial = `${folder}.${process.pid}`
    await mkdir(partial, { recursive: true })
    await writeFile(join(partial, "package.json"), '{ "private": true }')
    const npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", ...wanted]
    // With all of this machine's environment: it says how npm reaches what it asks.
    const env = Object.fromEntries(Object.entries(process.env).flatMap(([key, value]) => (value ? [[key, value]] : [])))
    const install = run("timeout", [`${INSTALL_SECONDS_MAX}`, ...npm], { cwd: partial, env })
    const { code } = await install.catch(() => ({ code: 1 }))
    if (code !== 0) {
      await rm(partial, { recursive: true, force: true })
      return `npm cannot install ${wanted.join(", ")}`
    }
    await rename(partial, folder)
  }
  const require = createRequire(join(folder, "package.json"))
  return { folder, load: (name) => import(pathToFileURL(require.resolve(name)).href) }
}
