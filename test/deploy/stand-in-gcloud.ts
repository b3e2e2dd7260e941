import { spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

/*
 * Stands in for gcloud where a test needs hundreds of runs of the bootstrap: it keeps what is created, a file for each
 * thing, and can refuse one call with any words. It words a 404 as gcloud does (real-gcloud.test.ts sees to that).
 */

const bootstrap = fileURLToPath(new URL("../../services/provision/bootstrap.sh", import.meta.url))

// A question is `describe` or `list`. As at Google, `run deploy` replaces, and policies and dashboards may come twice.
const program = `#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$GCLOUD_STATE/calls"
words=() title=
for word in "$@"; do
  case "$word" in
    --policy-from-file=* | --config-from-file=*) title=$(sed -n 's/^displayName: *"*\\([^"]*\\)"*$/\\1/p' "\${word#*=}") ;;
    --filter=displayName=*) title=\${word#*=\\"} title=\${title%\\"} ;;
    --*) ;;
    *) words+=("$word") ;;
  esac
done
command="\${words[*]}"
if [[ "$command" =~ ^(alpha )?monitoring\\ policies\\ list && "$*" == *--help ]]; then exit 1; fi
kind=\${command%% describe *} kind=\${kind%% create *} kind=\${kind%% list*}
kind=\${kind/#run deploy */run services}
name=\${words[-1]} name=\${name%@*} name=\${name#gs://}
thing="$GCLOUD_STATE/things/\${kind// /-}--\${name//\\//-}"
case "$command" in
  "projects describe"*) echo 42 && exit ;;
  *identity\\ create* | *\\ enable* | *-binding* | *\\ update* | *set-cleanup*) exit ;;
esac
count=$(($(cat "$GCLOUD_STATE/count") + 1))
echo "$count" >"$GCLOUD_STATE/count"
if [[ "$count" == "$(head -1 "$GCLOUD_STATE/refusal")" ]]; then tail -n +2 "$GCLOUD_STATE/refusal" >&2; exit 1; fi
not_found() {
  case "$kind" in
    "run services") echo "ERROR: (gcloud.run.services.describe) Cannot find service [$name]" ;;
    "run jobs") echo "ERROR: (gcloud.run.jobs.describe) Cannot find job [$name]." ;;
    "storage buckets") echo "ERROR: (gcloud.storage.buckets.describe) gs://$name not found: 404." ;;
    *) echo "ERROR: (gcloud.\${kind// /.}.describe) NOT_FOUND: Resource was not found. This command is authenticated as you." ;;
  esac >&2
  exit 1
}
case "$command" in
  *monitoring\\ *\\ list) for one in "$GCLOUD_STATE"/things/*"--$title"--*; do if [[ -e "$one" ]]; then echo "\${one##*--} ETAG"; fi; done ;;
  *monitoring\\ *\\ create) echo "$*" >"$GCLOUD_STATE/things/monitoring--$title--$count" ;;
  *\\ describe\\ *) cat "$thing" 2>/dev/null || not_found ;;
  "run deploy"*) echo "$*" >"$thing" ;;
  *\\ create\\ *) if [[ -e "$thing" ]]; then echo "ERROR: ALREADY_EXISTS: $name" >&2 && exit 1; fi; echo "$*" >"$thing" ;;
  *) echo "the stand-in does not know: $*" >&2 && exit 1 ;;
esac
`

export interface Project {
  /** Runs the bootstrap, or a section of it. The question or creation of that number, from 1, is refused. */
  bootstrap(options?: {
    only?: string
    refused?: { call: number; words: string }
    waitSeconds?: number
  }): Promise<Outcome>
  /** What is there, and the command that has made it. Policies and dashboards have the number of their call taken off. */
  things(): Promise<Map<string, string>>
  /** Puts other things in the place of those that are there. */
  change(name: string, content: string): Promise<void>
  /** Another project with the same in it. */
  copy(): Promise<Project>
  remove(): Promise<void>
}

interface Outcome {
  code: number | null
  output: string
  /** All calls, in their order. */
  calls: string[]
  /** How many of them were questions or creations. */
  count: number
}

export async function makeProject(from?: string): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-stand-in-"))
  if (from !== undefined) await cp(from, folder, { recursive: true })
  else {
    await mkdir(join(folder, "things"))
    await mkdir(join(folder, "tools"))
    await writeFile(join(folder, "tools/gcloud"), program, { mode: 0o755 })
    await writeFile(join(folder, "tools/sleep"), '#!/bin/bash\necho "sleep $1" >>"$GCLOUD_STATE/calls"\n', {
      mode: 0o755,
    })
  }
  return {
    async bootstrap({ only, refused, waitSeconds = 0 } = {}) {
      await writeFile(join(folder, "calls"), "")
      await writeFile(join(folder, "count"), "0")
      await writeFile(join(folder, "refusal"), refused ? `${refused.call}\n${refused.words}\n` : "0\n")
      const args = [bootstrap, "--project", "shop", ...(only === undefined ? [] : ["--only", only])]
      const env = {
        PATH: `${join(folder, "tools")}${delimiter}/usr/bin:/bin`,
        GCLOUD_STATE: folder,
        WAIT_SECONDS: String(waitSeconds),
      }
      const child = spawn("bash", args, { env, stdio: ["ignore", "pipe", "pipe"] })
      let output = ""
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (data: Buffer) => (output += data.toString()))
      const [code] = (await once(child, "close")) as [number | null]
      const read = (name: string) => readFile(join(folder, name), "utf8")
      return { code, output, calls: (await read("calls")).trimEnd().split("\n"), count: Number(await read("count")) }
    },
    async things() {
      const names = (await readdir(join(folder, "things"))).toSorted()
      const found = await Promise.all(
        names.map(async (name) => [name, await readFile(join(folder, "things", name), "utf8")] as const),
      )
      return new Map(found.map(([name, text]) => [name.replace(/^(monitoring--.*)--\d+$/, "$1"), text]))
    },
    change: (name, content) => writeFile(join(folder, "things", name), content),
    copy: () => makeProject(folder),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
