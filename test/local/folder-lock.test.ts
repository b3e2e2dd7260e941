import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import { lockFolder } from "../../services/local/folder-lock.ts"

const CONTENDERS = 8
const ROUNDS = 40

interface Contender {
  process: ChildProcess
  /** Sends a line and returns the answer. */
  ask: (line: string) => Promise<string>
}

let root: string
const contenders: Contender[] = []

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "daybook-lock-"))
  for (let n = 0; n < CONTENDERS; n++) contenders.push(startContender())
  // All are up.
  await Promise.all(contenders.map((contender) => contender.ask("release")))
})
afterAll(async () => {
  for (const contender of contenders) contender.process.kill("SIGKILL")
  await rm(root, { recursive: true, force: true })
})

function startContender(): Contender {
  const script = fileURLToPath(new URL("lock-contender.ts", import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] })
  const lines = createInterface({ input: child.stdout })
  return {
    process: child,
    ask: async (line) => {
      const answer = once(lines, "line")
      child.stdin.write(`${line}\n`)
      return String((await answer)[0])
    },
  }
}

/** All try at once; returns who has the folder. */
async function contend(folder: string, among: Contender[]): Promise<Contender[]> {
  const answers = await Promise.all(among.map((contender) => contender.ask(`take ${folder}`)))
  const others = answers.filter((answer) => answer !== "held")
  expect(others).toEqual(others.map(() => "refused"))
  return among.filter((_contender, at) => answers[at] === "held")
}

/** The number of a process that has ended. */
async function endedPid(): Promise<number> {
  const child = spawn("true")
  await once(child, "exit")
  return child.pid ?? 0
}

test("of many starters that find the same dead owner one has the folder", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const folder = join(root, `left-${round}`)
    await mkdir(folder)
    // As a version before wrote it, too: without a name of its own.
    await writeFile(join(folder, "cloud.pid"), `${await endedPid()} 12345${round % 2 === 0 ? "" : ` name-${round}`}\n`)
    const holders = await contend(folder, contenders)
    expect(holders).toHaveLength(1)
    await holders[0]?.ask("release")
    expect(await readdir(folder)).toEqual([])
  }
}, 120_000)

test("of many starters on a folder that nobody has one has it", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const folder = join(root, `free-${round}`)
    const holders = await contend(folder, contenders)
    expect(holders).toHaveLength(1)
    await holders[0]?.ask("release")
    expect(await readdir(folder)).toEqual([])
  }
}, 120_000)

test("a starter that dies while it takes a folder over keeps it from nobody", async () => {
  const folder = join(root, "heirs")
  await mkdir(folder)
  await writeFile(join(folder, "cloud.pid"), `${await endedPid()} 12345 left\n`)
  // Nobody is told by name how the second file is called: whoever takes the folder over dies at a random moment.
  for (let death = 0; death < 10; death++) {
    const mortal = startContender()
    await mortal.ask("release")
    mortal.process.stdin?.write(`take ${folder}\n`)
    await new Promise((passed) => setTimeout(passed, Math.random() * 4))
    mortal.process.kill("SIGKILL")
    await once(mortal.process, "exit")
  }
  const holders = await contend(folder, contenders)
  expect(holders).toHaveLength(1)
  await holders[0]?.ask("release")
}, 120_000)

test("each time the one that has it is killed, another one has it", async () => {
  const folder = join(root, "killed")
  let alive = [...contenders]
  while (alive.length > 0) {
    const holders = await contend(folder, alive)
    expect(holders).toHaveLength(1)
    const [holder] = holders
    holder?.process.kill("SIGKILL")
    await once(holder?.process as ChildProcess, "exit")
    alive = alive.filter((contender) => contender !== holder)
  }
}, 120_000)

test("one process has a folder once, and again after it was given back", async () => {
  const folder = join(root, "own")
  const taken = await Promise.allSettled([lockFolder(folder), lockFolder(folder)])
  expect(taken.map(({ status }) => status)).toEqual(["fulfilled", "rejected"])
  if (taken[0].status === "fulfilled") await taken[0].value()
  await (await lockFolder(folder))()
})
