import { userInfo } from "node:os"
import type { Asker } from "../../shared/asker.ts"

/** The person at the terminal, as the system knows them; nobody proves it. */
export function whoAsks(note: string | undefined, env: NodeJS.ProcessEnv): Asker {
  return { askedBy: env["USER"] || env["LOGNAME"] || readUserName(), via: "cli", note: note ?? null }
}

function readUserName(): string | null {
  try {
    return userInfo().username
  } catch {
    // In a container a user may have a number and no name.
    return null
  }
}
