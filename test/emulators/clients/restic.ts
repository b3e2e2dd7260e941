import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Client, isThere, run, type Tried, tryCommand } from "./client.ts"
import { writeRcloneConfig } from "./rclone.ts"

/** A backup program. Its own client knows no endpoint but Google's, so it goes through rclone. */
export const restic: Client = {
  name: "restic",
  missing: async () =>
    (await isThere("restic", "version")) && (await isThere("rclone", "version"))
      ? undefined
      : "restic and rclone are not both on this machine",
  async *try({ storage, folder }) {
    const env = {
      RCLONE_CONFIG: await writeRcloneConfig(folder, storage),
      RESTIC_PASSWORD: "password",
      RESTIC_REPOSITORY: "rclone:local:by-restic/backup",
    }
    await mkdir(join(folder, "kept/deep"), { recursive: true })
    for (const name of ["kept/a", "kept/deep/b"]) await writeFile(join(folder, name), `of ${name}\n`)
    const step = (operation: string, args: string, expected: RegExp): Promise<Tried> =>
      tryCommand(
        { service: "Storage", operation },
        run("restic", ["--no-cache", ...args.split(" ")], { env, cwd: folder }),
        expected,
      )
    yield step("create a bucket", "init", /created restic repository/)
    yield step("upload a folder", "backup kept", /snapshot \w+ saved/)
    yield step("list", "snapshots", /kept/)
    yield step("read", "dump latest /kept/deep/b", /of kept\/deep\/b/)
    yield step("describe", "check --read-data", /no errors were found/)
    yield step("delete all", "forget --keep-last 1 --prune", /kept/)
  },
}
