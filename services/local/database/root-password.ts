import { randomBytes } from "node:crypto"
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { ServerKind } from "./find-server.ts"

/**
 * The password of root on the private servers of a folder, made if there is none yet. On 127.0.0.1 every user of the
 * machine can knock; only who can read the folder comes in.
 */
export async function rootPassword(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, "database-password")
  const made = `${file}.${process.pid}`
  await writeFile(made, randomBytes(16).toString("hex"), { mode: 0o600 })
  // A link is whole at once, and does not replace the password that another process has made meanwhile.
  await link(made, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error
  })
  await rm(made)
  return readFile(file, "utf8")
}

/**
 * What a server executes before it lets anybody in, one statement a line; not for its replicas. MariaDB's takes the time it
 * needs, also where the server's options leave a statement a millisecond.
 */
export function setRootPassword(kind: ServerKind, password: string): string {
  const alterUser = (...hosts: string[]) =>
    `ALTER USER IF EXISTS ${hosts.map((host) => `root@'${host}' IDENTIFIED BY '${password}'`).join(", ")};`
  const statement =
    kind === "mariadb"
      ? `SET STATEMENT max_statement_time = 0 FOR ${alterUser("localhost", "127.0.0.1", "::1")}`
      : alterUser("localhost")
  return `SET sql_log_bin = 0;\n${statement}\n`
}
