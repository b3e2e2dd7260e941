import { createHash, randomBytes } from "node:crypto"
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConfigurationError } from "../../shared/errors.ts"
import { readProcessStat } from "./process-stat.ts"

/** Folders that this process has, or is about to take. */
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
  if (held.has(path)) throw isUsed(folder, process.pid)
  held.add(path)
  try {
    const owner = await takeFile(file, (left) =>
      log(
        `The folder ${folder} was left by a local cloud that was killed (process ${left}): what is in it is taken over.`,
      ),
    )
    if (owner !== undefined) throw isUsed(folder, owner)
  } catch (error) {
    held.delete(path)
    throw error
  }
  return async () => {
    await rm(file, { force: true })
    held.delete(path)
  }
}

function isUsed(folder: string, owner: number): ConfigurationError {
  return new ConfigurationError(
    `The folder ${folder} is used by another local cloud (process ${owner}): stop it, or choose another folder.`,
  )
}

// Each try but the last found an owner that gave the file back, or was replaced, in that moment.
const TRIES_MAX = 100

/**
 * Makes a file this process's own; returns the owner's number instead if that is alive. The file appears as a whole: it is
 * linked to its name, which fails if there is one. Of all who find its owner dead one alone may replace it: the one who has a
 * second file, named after this very owner, and still finds the owner in the first. Whoever comes later finds another.
 */
async function takeFile(file: string, tell: (owner: number) => void = () => {}): Promise<number | undefined> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (await createFile(file)) return undefined
    const text = await readOwner(file)
    if (text === undefined) continue
    const [owner = "", start] = text.trim().split(" ")
    if (isAlive(Number(owner), start)) return Number(owner)
    const heirs = `${file}.${createHash("sha256").update(text).digest("hex").slice(0, 16)}`
    const heir = await takeFile(heirs)
    if (heir !== undefined) return heir
    try {
      if ((await readOwner(file)) !== text) continue
      tell(Number(owner))
      await rename(await writeOwner(file), file)
      return undefined
    } finally {
      await rm(heirs, { force: true })
    }
  }
  throw new ConfigurationError(`${file} changes its owner again and again: choose another folder.`)
}

/** False if the file is there already. */
async function createFile(file: string): Promise<boolean> {
  const written = await writeOwner(file)
  try {
    await link(written, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    return false
  } finally {
    await rm(written, { force: true })
  }
}

/** Writes who this process is into a file of its own, beside the one that is to be taken. No two such texts are the same. */
async function writeOwner(file: string): Promise<string> {
  const name = randomBytes(8).toString("hex")
  const path = `${file}.${name}`
  await writeFile(path, `${process.pid} ${readProcessStat(process.pid)?.start ?? UNKNOWN} ${name}\n`, { flag: "wx" })
  return path
}

/** Undefined if the file is not there. */
async function readOwner(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    return undefined
  }
}

const UNKNOWN = "unknown"

/** Whether the process that wrote a file is alive. This one takes a folder once: a file with its number is another's. */
function isAlive(pid: number, start: string | undefined): boolean {
  if (pid === process.pid || !hasProcess(pid)) return false
  const found = readProcessStat(pid)
  // A zombie has ended, and nobody has asked how: for ever, where the first process of a container does not.
  if (found?.state === "Z") return false
  return start === undefined || start === UNKNOWN || start === (found?.start ?? UNKNOWN)
}

function hasProcess(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: somebody else's process, alive.
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
