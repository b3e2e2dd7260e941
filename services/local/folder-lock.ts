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
export async function lockFolder(folder: string, log: (line: string) => void = () => {}): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true })
  const path = resolve(folder)
  const file = join(path, "cloud.pid")
  for (let isRetry = false; ; isRetry = true) {
    try {
      await writeFile(file, `${process.pid} ${(await readStat(process.pid)).start}\n`, { flag: "wx" })
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
    log(
      `The folder ${folder} was left by a local cloud that was killed (process ${owner}): what is in it is taken over.`,
    )
    await rm(file, { force: true })
  }
}

async function isOwner(path: string, pid: number, start: string | undefined): Promise<boolean> {
  if (pid === process.pid) return held.has(path)
  if (!isAlive(pid)) return false
  const found = await readStat(pid)
  // A zombie has ended, and nobody has asked how: for ever, where the first process of a container does not.
  if (found.state === "Z") return false
  return start === undefined || start === UNKNOWN || start === found.start
}

const UNKNOWN = "unknown"

/**
 * A process's state, and when it began in ticks since the machine did, on Linux:
 * https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
async function readStat(pid: number): Promise<{ state: string; start: string }> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")
  // The name, in brackets, may hold anything; what comes after it begins with the third field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return { state: fields[0] ?? "", start: fields[19] ?? UNKNOWN }
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
