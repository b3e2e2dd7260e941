import { InvalidArgumentError, Option } from "commander"
import { type ServerKind, serverKinds } from "./database/find-server.ts"

/** Which database a program uses: somebody's server, or one of its own, of a kind or whichever is found. */
export interface DatabaseChoice {
  databaseUrl?: string
  databaseKind?: ServerKind
}

/** An option that takes a whole number within bounds. */
export function count(flags: string, description: string, value: number | undefined, min: number, max: number): Option {
  return new Option(flags, description).default(value).argParser((text) => {
    const given = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
    if (given >= min && given <= max) return given
    throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`)
  })
}

/** Looks at the form alone: what is no date is found where it is used. */
export function parseDate(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return text
  throw new InvalidArgumentError("It is not of the form YYYY-MM-DD.")
}

/** The option `--database`; `chooseDatabase` takes its value. */
export function databaseOption(): Option {
  return new Option(
    "--database <server>",
    "mariadb or mysql: a private one of that kind; mysql://user:password@host:port/: a server to use instead, where a database is made, and dropped in the end (default: DATABASE_URL, else whichever is found)",
  ).argParser(parseDatabase)
}

/** Without the option, what DATABASE_URL says. */
export function chooseDatabase(choice: DatabaseChoice | undefined, env: NodeJS.ProcessEnv): DatabaseChoice {
  const url = env["DATABASE_URL"]
  return choice ?? (url ? { databaseUrl: url } : {})
}

function parseDatabase(text: string): DatabaseChoice {
  const kind = serverKinds.find((known) => known === text)
  if (kind) return { databaseKind: kind }
  if (/^mysql:\/\/[^/]+/.test(text) && URL.canParse(text)) return { databaseUrl: text }
  throw new InvalidArgumentError("It is neither mariadb nor mysql, nor of the form mysql://user:password@host:port/.")
}
