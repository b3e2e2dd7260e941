import { invalid } from "./errors.ts"

/**
 * A glob as `matchGlob` has it: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob.
 * `*` and `?` stop at a slash, `**` does not.
 */
export function readGlob(glob: string): (name: string) => boolean {
  let pattern = ""
  let depth = 0
  for (let at = 0; at < glob.length; at++) {
    const char = glob[at] ?? ""
    if (char === "*" && glob[at + 1] === "*") {
      at++
      // `a/**/b` is also `a/b`.
      if (glob[at + 1] === "/" && (at === 1 || glob[at - 2] === "/")) {
        at++
        pattern += "(?:.*/)?"
      } else pattern += ".*"
    } else if (char === "*") pattern += "[^/]*"
    else if (char === "?") pattern += "[^/]"
    else if (char === "{") {
      depth++
      pattern += "(?:"
    } else if (char === "}" && depth > 0) {
      depth--
      pattern += ")"
    } else if (char === "," && depth > 0) pattern += "|"
    else if (char === "[") {
      const end = glob.indexOf("]", at + 2)
      if (end < 0) throw invalid(`Invalid value for matchGlob: '${glob}'`)
      const set = glob
        .slice(at + 1, end)
        .replace(/^!/, "^")
        .replaceAll("\\", "\\\\")
      pattern += `[${set}]`
      at = end
    } else if (char === "\\" && at + 1 < glob.length) pattern += escape(glob[++at] ?? "")
    else pattern += escape(char)
  }
  if (depth > 0) throw invalid(`Invalid value for matchGlob: '${glob}'`)
  const expression = new RegExp(`^${pattern}$`, "su")
  return (name) => expression.test(name)
}

const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&")
