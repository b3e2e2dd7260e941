import { readFileSync } from "node:fs"
import type { PoolOptions } from "mysql2"
import { ConfigurationError } from "../errors.ts"

type SslOptions = Exclude<PoolOptions["ssl"], string | undefined>

/** How a connection is encrypted, by the words of MySQL's own clients. */
const sslModes: Record<string, (ca: Buffer | undefined) => { ssl?: SslOptions }> = {
  DISABLED: () => ({}),
  /** Encrypted, to whoever answers. */
  REQUIRED: () => ({ ssl: { rejectUnauthorized: false } }),
  /** To a server with a certificate of that authority. */
  VERIFY_CA: (ca) => ({ ssl: { rejectUnauthorized: true, ...(ca && { ca }) } }),
  /** And of that host name. */
  VERIFY_IDENTITY: (ca) => ({ ssl: { rejectUnauthorized: true, verifyIdentity: true, ...(ca && { ca }) } }),
}

const PARAMETERS = ["ssl-mode", "ssl-ca"]

/**
 * What the driver connects by: the URL without its parameters, of which there are two, `ssl-mode` (DISABLED, REQUIRED,
 * VERIFY_CA, VERIFY_IDENTITY) and `ssl-ca` (a file of certificates). Every other is refused, so that none is believed to
 * count that does not; the driver's own could make it lose digits. Throws a ConfigurationError that names `variable`.
 */
export function connectionOptions(text: string, variable = "DATABASE_URL"): { uri: string; ssl?: SslOptions } {
  const url = parseUrl(text, variable)
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name))
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `${variable} has the parameter ${unknown}, which means nothing here: for an encrypted connection it is ssl-mode=REQUIRED, VERIFY_CA or VERIFY_IDENTITY, with ssl-ca=FILE`,
    )
  }
  const file = url.searchParams.get("ssl-ca")
  const mode = url.searchParams.get("ssl-mode") ?? (file === null ? "DISABLED" : "VERIFY_CA")
  const options = sslModes[mode.toUpperCase()]
  if (!options) {
    throw new ConfigurationError(
      `${variable} has ssl-mode=${mode}, which is none of ${Object.keys(sslModes).join(", ")}`,
    )
  }
  url.search = ""
  return { uri: url.href, ...options(file === null ? undefined : readCertificates(file, variable)) }
}

function parseUrl(text: string, variable: string): URL {
  const url = URL.parse(text)
  if (url) return url
  // Without what was given: it holds a password.
  throw new ConfigurationError(
    `${variable} cannot be read as a URL: in a password, characters such as # / ? @ are written as %23 %2F %3F %40`,
  )
}

function readCertificates(file: string, variable: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new ConfigurationError(`${variable} names ssl-ca=${file}, which cannot be read`, { cause })
  }
}
