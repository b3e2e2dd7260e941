import written from "./gcloud-flags.json" with { type: "json" }
import { type GcloudTree, readRealTree } from "./make-gcloud-flags.ts"

/** The gcloud of this machine, or where there is none one that was written down. */
const tree: GcloudTree = readRealTree() ?? written

/** A gcloud command line, taken apart. */
export interface Gcloud {
  command: string
  /** What is neither the command nor a flag. */
  names: string[]
  /** A flag given without a value has the value "". */
  flags: Record<string, string>
}

/** Takes a command line of gcloud apart; throws if gcloud does not have the command, or the command a flag. */
export function parseGcloud(given: string[]): Gcloud {
  const plain = given.filter((word) => !word.startsWith("--"))
  const command = Object.keys(tree.commands)
    .toSorted((a, b) => b.length - a.length)
    .find((known) => `${plain.join(" ")} `.startsWith(`${known} `))
  if (!command) throw new Error(`gcloud ${tree.version} has no command: gcloud ${given.join(" ")}`)
  const found: Record<string, string> = {}
  for (const word of given.filter((one) => one.startsWith("--"))) {
    const [, name = "", value = ""] = /^--([^=]+)=?([^]*)$/.exec(word) ?? []
    if (!tree.commands[command]?.includes(name)) throw new Error(`gcloud ${tree.version} ${command} has no --${name}`)
    if (name in found) throw new Error(`gcloud ${command} is given --${name} twice`)
    found[name] = value
  }
  return { command, names: plain.slice(command.split(" ").length), flags: found }
}
