import { existsSync } from "node:fs"
import { mkdir, readFile, rename, rm } from "node:fs/promises"
import { runQuietly, type ServerKind, type ServerPrograms, serverNames } from "./find-server.ts"

/** Fills a server's data folder if it is not there: root without a password as yet, no other login, no test database. */
export async function createDataFolder(
  programs: ServerPrograms,
  folder: string,
  log: (line: string) => void,
  signal: AbortSignal | undefined,
  /** Options of the server that MySQL wants to be the same from the first moment on. */
  forGood: string[] = [],
): Promise<void> {
  if (existsSync(folder)) return
  log(`creating a private ${serverNames[programs.kind]} ${programs.version}`)
  // Renamed into place when it is whole, so that an interrupted start leaves nothing that looks like a database.
  const unfinished = `${folder}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true, mode: 0o700 })
  // A server that starts clears its folder of temporary tables: in /tmp, those of any other server too.
  const common = ["--no-defaults", ...userOption(), `--datadir=${unfinished}`, `--tmpdir=${unfinished}`]
  if (programs.kind === "mysql") {
    await runQuietly(programs.server, [...common, ...kindOptions.mysql, ...forGood, "--initialize-insecure"], signal)
  } else {
    // What mariadb-install-db does, which needs my_print_defaults, and that comes with the client's package only.
    // Without its help texts and sys schema this takes 0.3 s instead of 0.8.
    const files = await Promise.all(programs.systemTables.map((file) => readFile(file, "utf8")))
    const sql = [CREATE_SYSTEM_DATABASE, ...files].join("\n")
    await runQuietly(programs.server, [...common, ...kindOptions.mariadb, "--bootstrap"], signal, { input: sql })
  }
  await rename(unfinished, folder)
}

// One statement a line, as bootstrap mode reads them. The variable chooses a password login for root, and it has none.
const CREATE_SYSTEM_DATABASE = `CREATE DATABASE mysql;
USE mysql;
SET @auth_root_socket = NULL;`

/** What only one of them knows. */
export const kindOptions: Record<ServerKind, string[]> = {
  // Root may log in from 127.0.0.1, which only MariaDB's system tables provide without a name lookup.
  mariadb: ["--skip-name-resolve"],
  // No other protocol, no files by SQL: it refuses to start where its own folder for those is missing.
  mysql: ["--mysqlx=OFF", "--secure-file-priv=NULL"],
}

/** The server refuses to run as root unless it is told to. */
export const userOption = () => (process.getuid?.() === 0 ? ["--user=root"] : [])
