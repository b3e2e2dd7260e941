import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConfigurationError } from "../../shared/errors.ts"

/** Folders that this process has. */
const held = new Set<string>()

/**
 * Takes a folder, made if it does not exist, for this process and returns the function that gives it back. Two clouds on
 * one folder would spoil each other's objects. What a killed process left is taken over, also where another one has its
 * number by now, as the first process of a container that is started again always has.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true })
  const path = resolve(folder)
  const file = join(path, "cloud.pid")
  for (let isRetry = false; ; isRetry = true) {
    try {
      await writeFile(file, `${process.pid} ${await readStart(process.pid)}\n`, { flag: "wx" })
      held.add(path)
      return async () => {
        await rm(file, { force: true })
        held.delete(path)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const [owner = "", start] = (await readFile(file, "utf8").catch(() => "")).trim().split(" ")
    if (isRetry || (await isOwner(path, Number(owner), start))) {
      throw new ConfigurationError(
        `The folder ${folder} is used by another local cloud (process ${owner}): stop it, or choose another folder.`,
      )
    }
    await rm(file, { force: true })
  }
}

async function isOwner(path: string, pid: number, start: string | undefined): Promise<boolean> {
  if (pid === process.pid) return held.has(path)
  if (!isAlive(pid)) return false
  return start === undefined || start === UNKNOWN || start === (await readStart(pid))
}

const UNKNOWN = "unknown"

/** When a process began, in ticks since the machine did, on Linux: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
async function readStart(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")
  // The name, in brackets, may hold anything; what comes after it begins with the third field.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? UNKNOWN
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
