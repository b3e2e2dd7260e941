// One class per reaction. Whatever is none of these is transient: try again, then refuse the message or exit non-zero.

/** Somebody with a newer claim owns the shard now: stop quietly, having written nothing. */
export class StaleEpochError extends Error {
  override readonly name = "StaleEpochError"
}

/** Trying again cannot help: record it as failed or rejected, and acknowledge. */
export class PermanentError extends Error {
  override readonly name = "PermanentError"
}

/** The process was started with settings it cannot work with: say so and exit 1. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError"
}

/**
 * The answer to a COMMIT is missing: all of the transaction is committed, or nothing. Whoever tries again must bear both,
 * as every transaction here does.
 */
export class CommitUnknownError extends Error {
  override readonly name = "CommitUnknownError"
}

/** An error and what caused it, from the outermost: drizzle and the Google clients wrap the telling one. */
export function listCauses(error: unknown): Error[] {
  return error instanceof Error ? [error, ...listCauses(error.cause)] : []
}

/** The number of the server's error (https://dev.mysql.com/doc/mysql-errors/8.4/en/), wherever in the causes it is. */
export function findErrno(error: unknown): number | undefined {
  return listCauses(error)
    .map((cause) => (cause as { errno?: unknown }).errno)
    .find((errno) => typeof errno === "number")
}

/** What an error says, with what its causes add: drizzle and the Google clients wrap the telling part. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // The text of a failed query is long and says less than its cause.
  if (error.message.startsWith("Failed query:") && error.cause) return describeError(error.cause)
  if (error instanceof AggregateError && error.message === "") return error.errors.map(describeError).join("; ")
  const cause = error.cause ? describeError(error.cause) : ""
  return cause && !error.message.includes(cause) ? `${error.message}: ${cause}` : error.message
}
