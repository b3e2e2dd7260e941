import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConfigurationError } from "../../shared/errors.ts"
import { readProcessStat } from "./process-stat.ts"

/** Folders that this process has. */
const held = new Set<string>()

/**
 * Takes a folder, made if it does not exist, for this process and returns the function that gives it back. Two clouds on
 * one folder would spoil each other's objects. What a killed process left is taken over, also where another one has its
 * number by now, as the first process of a container that is started again always has.
 */
export async function lockFolder(folder: string, log: (line: string) => void = () => {}): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true })
  const path = resolve(folder)
  const file = join(path, "cloud.pid")
  for (let isRetry = false; ; isRetry = true) {
    try {
      await writeFile(file, `${process.pid} ${readProcessStat(process.pid)?.start ?? UNKNOWN}\n`, { flag: "wx" })
      held.add(path)
      return async () => {
        await rm(file, { force: true })
        held.delete(path)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const [owner = "", start] = (await readFile(file, "utf8").catch(() => "")).trim().split(" ")
    if (isRetry || isOwner(path, Number(owner), start)) {
      throw new ConfigurationError(
        `The folder ${folder} is used by another local cloud (process ${owner}): stop it, or choose another folder.`,
      )
    }
    log(
      `The folder ${folder} was left by a local cloud that was killed (process ${owner}): what is in it is taken over.`,
    )
    await rm(file, { force: true })
  }
}

function isOwner(path: string, pid: number, start: string | undefined): boolean {
  if (pid === process.pid) return held.has(path)
  if (!isAlive(pid)) return false
  const found = readProcessStat(pid)
  // A zombie has ended, and nobody has asked how: for ever, where the first process of a container does not.
  if (found?.state === "Z") return false
  return start === undefined || start === UNKNOWN || start === (found?.start ?? UNKNOWN)
}

const UNKNOWN = "unknown"

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
