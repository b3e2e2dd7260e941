import { spawn } from "node:child_process"
import { once } from "node:events"
import { setTimeout as wait } from "node:timers/promises"

/** Where the servers are that a client is tried on. */
export interface Servers {
  /** host:port */
  pubsub: string
  /** http://host:port */
  storage: string
  /** host:port */
  run: string
  /** For files of the client's own. */
  folder: string
}

export interface Tried {
  service: "Pub/Sub" | "Storage" | "Run"
  operation: string
  /** "ok", or why not. */
  result: string
}

/** Somebody else's client. */
export interface Client {
  name: string
  /** Why it cannot be tried on this machine; undefined: it can. */
  missing(): Promise<string | undefined>
  try(servers: Servers): AsyncIterable<Tried>
}

/** Runs a program to its end; its output counts whichever of the two it goes to. */
export async function run(
  command: string,
  args: string[],
  { env = {}, cwd, input = "" }: { env?: Record<string, string>; cwd?: string; input?: string } = {},
): Promise<{ code: number | null; output: string }> {
  const { PATH = "", HOME = "" } = process.env
  const child = spawn(command, args, { env: { PATH, HOME, ...env }, cwd, stdio: ["pipe", "pipe", "pipe"] })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()))
  child.on("error", () => undefined)
  child.stdin.on("error", () => undefined)
  child.stdin.end(input)
  const [code] = (await once(child, "close")) as [number | null]
  return { code, output }
}

export async function isThere(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await run(command, args)).code === 0
  } catch {
    return false
  }
}

/** A step by a command line: what it prints must match. */
export async function tryCommand(
  what: Omit<Tried, "result">,
  done: Promise<{ code: number | null; output: string }>,
  expected: RegExp,
): Promise<Tried> {
  const { code, output } = await done
  const line =
    output
      .trim()
      .split("\n")
      .findLast((text) => /error|fail/i.test(text)) ?? output.trim().slice(-200)
  return { ...what, result: code === 0 && expected.test(output) ? "ok" : `exit ${code}: ${line}` }
}

/** A step by a function, which throws where it fails. */
export async function tryCall(what: Omit<Tried, "result">, call: () => Promise<unknown>): Promise<Tried> {
  try {
    await call()
    return { ...what, result: "ok" }
  } catch (error) {
    return { ...what, result: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) }
  }
}

// A busy machine takes seconds to start a program.
const WAIT_MS_MAX = 30_000

/** Waits until a check says yes; one that throws has not. */
export async function waitFor(check: () => boolean | Promise<boolean>): Promise<void> {
  const until = Date.now() + WAIT_MS_MAX
  for (;;) {
    if (
      await Promise.resolve()
        .then(check)
        .catch(() => false)
    )
      return
    if (Date.now() > until) throw new Error("waited for in vain")
    await wait(50)
  }
}
