import { spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { InvalidArgumentError, Option } from "commander"
import { type ServerKind, serverKinds, serverNames } from "../services/local/database/find-server.ts"

/** On which servers tests run, one after the other; undefined: on whichever is found, or DATABASE_URL's. */
export type TestServers = ServerKind[] | undefined

export function testServersOption(): Option {
  return new Option("--database <server>", "mariadb, mysql, or both, one after the other").argParser((text) => {
    if (text === "both") return [...serverKinds]
    const kind = serverKinds.find((known) => known === text)
    if (kind) return [kind]
    throw new InvalidArgumentError("It is none of mariadb, mysql, both.")
  })
}

/** Runs for each of the servers. Returns the first exit code that is not 0. */
export async function runOnEach(servers: TestServers, run: (kind?: ServerKind) => Promise<number>): Promise<number> {
  const codes: number[] = []
  for (const kind of servers ?? [undefined]) {
    if (kind) console.log(`\nOn ${serverNames[kind]}:`)
    codes.push(await run(kind))
  }
  return codes.find((code) => code !== 0) ?? 0
}

/** Returns vitest's exit code; 1 where a signal ended it. */
export async function runVitest(
  config: URL,
  args: string[],
  kind: ServerKind | undefined,
  env: NodeJS.ProcessEnv = {},
): Promise<number> {
  const server = kind ? { DATABASE_SERVER: kind, DATABASE_URL: undefined } : {}
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs")
  const child = spawn(process.execPath, [vitest, "run", "--config", fileURLToPath(config), ...args], {
    stdio: "inherit",
    env: { ...process.env, ...server, ...env },
  })
  const [code] = (await once(child, "exit")) as [number | null]
  return code ?? 1
}
