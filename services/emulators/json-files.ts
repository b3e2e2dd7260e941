import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"

/**
 * Puts a text into a file's place at once: a killed process leaves the old file or the new one. (No fsync: a power cut may
 * take the last writes.) The temporary file is on the same file system.
 */
export function replaceFile(path: string, text: string, temporary = `${path}.new`): void {
  try {
    writeFileSync(temporary, text)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** What a server has kept in a file for its next start; undefined if there is none. Throws a sentence for what is no JSON. */
export function readState<State>(path: string, server: string): State | undefined {
  if (!existsSync(path)) return undefined
  try {
    return JSON.parse(readFileSync(path, "utf8")) as State
  } catch (cause) {
    throw new Error(`${path} is not the state of ${server}: delete it to begin anew`, { cause })
  }
}
