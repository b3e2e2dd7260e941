import { randomBytes } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Client, isThere, run, type Tried, tryCommand } from "./client.ts"

const BIG_BYTES = 20 * 1024 * 1024

export const rclone: Client = {
  name: "rclone",
  missing: async () => ((await isThere("rclone", "version")) ? undefined : "rclone is not on this machine"),
  async *try({ storage, folder }) {
    const config = await writeRcloneConfig(folder, storage)
    await mkdir(join(folder, "tree/deep"), { recursive: true })
    for (const name of ["small.txt", "tree/a", "tree/deep/b"]) await writeFile(join(folder, name), `of ${name}\n`)
    await writeFile(join(folder, "big"), randomBytes(BIG_BYTES))
    const step = (operation: string, args: string, expected = /^/): Promise<Tried> =>
      tryCommand(
        { service: "Storage", operation },
        run("rclone", ["--config", config, "--retries", "1", "-q", ...args.split(" ")], { cwd: folder }),
        expected,
      )
    yield step("create a bucket", "mkdir local:by-rclone")
    yield step("upload", "copyto small.txt local:by-rclone/small.txt")
    yield step("upload in chunks", "copyto big local:by-rclone/big")
    yield step("upload a folder", "sync tree local:by-rclone/tree")
    yield step("list", "lsl local:by-rclone", /tree\/deep\/b/)
    yield step("read", "cat local:by-rclone/small.txt", /of small.txt/)
    yield step("read a range", "cat --offset 3 --count 5 local:by-rclone/small.txt", /^small$/m)
    yield step("download", "copyto local:by-rclone/big big.back")
    yield tryCommand(
      { service: "Storage", operation: "download what was uploaded" },
      run("cmp", ["big", "big.back"], { cwd: folder }),
      /^$/,
    )
    yield step("copy", "copyto local:by-rclone/small.txt local:by-rclone/copy.txt")
    yield step("move", "moveto local:by-rclone/copy.txt local:by-rclone/moved.txt")
    yield step("describe", "check tree local:by-rclone/tree")
    yield step("delete all", "purge local:by-rclone")
  },
}

export async function writeRcloneConfig(folder: string, storage: string): Promise<string> {
  const config = join(folder, "rclone.conf")
  await writeFile(
    config,
    `[local]\ntype = google cloud storage\nanonymous = true\nendpoint = ${storage}/storage/v1/\nproject_number = 1\nbucket_policy_only = true\n`,
  )
  return config
}
