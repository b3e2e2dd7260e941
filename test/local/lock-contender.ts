import { createInterface } from "node:readline"
import { lockFolder } from "../../services/local/folder-lock.ts"

/*
 * A starter of a local cloud, as far as its folder. On its input, `take <folder>` is answered by `held` or `refused`, and
 * `release` gives the folder back.
 */
let release: (() => Promise<void>) | undefined

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "release") {
    await release?.()
    console.log("released")
    continue
  }
  try {
    release = await lockFolder(line.replace("take ", ""))
    console.log("held")
  } catch (error) {
    console.log(error instanceof Error && error.message.includes("used by another") ? "refused" : String(error))
  }
}
