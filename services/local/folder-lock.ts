import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { ConfigurationError } from "../../shared/errors.ts"

/**
 * Takes a folder, made if it does not exist, for this process and returns the function that gives it back. Two clouds on one folder would spoil
 * each other's objects. What a killed process left is taken over.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, "cloud.pid")
  for (let isRetry = false; ; isRetry = true) {
    try {
      await writeFile(file, `${process.pid}\n`, { flag: "wx" })
      return () => rm(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const owner = Number(await readFile(file, "utf8").catch(() => ""))
    if (isRetry || isAlive(owner)) {
      throw new ConfigurationError(
        `The folder ${folder} is used by another local cloud (process ${owner}): stop it, or choose another folder.`,
      )
    }
    await rm(file, { force: true })
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: somebody else's process, alive.
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
