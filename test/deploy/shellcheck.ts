import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Debian's package shellcheck; the build installs it. Where it is missing, tests say so and skip. */
export const hasShellcheck = spawnSync("shellcheck", ["--version"]).status === 0

/** What shellcheck has to say about a script; nothing if it is good. */
export function shellcheck(script: string): string {
  try {
    // Sourced files are followed from the top of the repository, where the build's steps run.
    return execFileSync("shellcheck", ["--external-sources", "--source-path", root, "--shell", "bash", "-"], {
      input: script,
      cwd: root,
      encoding: "utf8",
    })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}
