import { execFileSync } from "node:child_process"
import { existsSync, realpathSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { delimiter, dirname, join } from "node:path"

/*
 * What the commands of a real gcloud are called and which flags they have, out of the tree that it completes command lines
 * by. `node test/deploy/make-gcloud-flags.ts` writes that of this machine down, for machines that have none.
 */

export interface GcloudTree {
  version: string
  /** Flags by command, without their dashes; `[no-]x` is also `no-x`. */
  commands: Record<string, string[]>
}

// The commands that the bootstrap and the build use; the whole tree has thousands.
const commandsUsed = [
  "alpha monitoring policies create",
  "alpha monitoring policies list",
  "alpha monitoring policies update",
  "artifacts repositories add-iam-policy-binding",
  "artifacts repositories create",
  "artifacts repositories describe",
  "artifacts repositories set-cleanup-policies",
  "beta run services update",
  "beta services identity create",
  "iam roles create",
  "iam roles describe",
  "iam service-accounts add-iam-policy-binding",
  "iam service-accounts create",
  "iam service-accounts describe",
  "logging metrics create",
  "logging metrics describe",
  "monitoring dashboards create",
  "monitoring dashboards list",
  "monitoring dashboards update",
  "projects add-iam-policy-binding",
  "projects describe",
  "pubsub topics add-iam-policy-binding",
  "pubsub topics create",
  "pubsub topics describe",
  "run deploy",
  "run jobs add-iam-policy-binding",
  "run jobs create",
  "run jobs deploy",
  "run jobs describe",
  "run jobs execute",
  "run services add-iam-policy-binding",
  "run services describe",
  "run services get-iam-policy",
  "scheduler jobs create http",
  "scheduler jobs create pubsub",
  "scheduler jobs describe",
  "scheduler jobs update http",
  "scheduler jobs update pubsub",
  "secrets add-iam-policy-binding",
  "secrets create",
  "secrets describe",
  "services enable",
  "storage buckets add-iam-policy-binding",
  "storage buckets create",
  "storage buckets describe",
  "storage buckets update",
] as const

const program = `
import json, sys
sys.path.insert(0, sys.argv[1])
from gcloud_completions import STATIC_COMPLETION_CLI_TREE as tree
found = {}
for command in json.loads(sys.argv[2]):
    branch, flags = tree, dict(tree["flags"])
    for word in command.split():
        branch = branch["commands"].get(word)
        if branch is None: break
        flags.update(branch.get("flags", {}))
    if branch is None: continue
    names = set()
    for flag, kind in flags.items():
        name = flag.lstrip("-")
        names.add(name)
        if kind == "bool": names.add("no-" + name)
    found[command] = sorted(names)
print(json.dumps(found))
`

/** The tree of the gcloud on this machine; undefined where there is none. */
export function readRealTree(): GcloudTree | undefined {
  const path = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "gcloud"))
    .find(existsSync)
  if (path === undefined) return undefined
  const root = dirname(dirname(realpathSync(path)))
  const completions = join(root, "data/cli")
  const python = ["/usr/bin/python3", join(root, "platform/bundledpythonunix/bin/python3")].find(existsSync)
  if (python === undefined || !existsSync(join(completions, "gcloud_completions.py"))) return undefined
  const args = ["-B", "-c", program, completions, JSON.stringify(commandsUsed)]
  const commands = JSON.parse(execFileSync(python, args, { encoding: "utf8" })) as Record<string, string[]>
  const version = execFileSync("cat", [join(root, "VERSION")], { encoding: "utf8" }).trim()
  return { version, commands }
}

if (import.meta.main) {
  const tree = readRealTree()
  if (!tree) throw new Error("there is no gcloud on this machine")
  const missing = commandsUsed.filter((command) => tree.commands[command] === undefined)
  if (missing.length > 0) console.error(`gcloud ${tree.version} has no ${missing.join(", ")}`)
  await writeFile(new URL("gcloud-flags.json", import.meta.url), `${JSON.stringify(tree, null, 1)}\n`)
}
