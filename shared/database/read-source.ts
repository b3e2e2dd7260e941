import { listCauses, PermanentError } from "../errors.ts"

/** Says that the source failed and not the database; what to do about it is its cause's to say. */
export class SourceError extends Error {
  override readonly name = "SourceError"

  constructor(cause: unknown) {
    super("the shop cannot be read", { cause })
  }
}

/** Reads the shop. What fails there can then be told from what fails in the database. */
export async function readSource<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    // A judgement of ours, not a failure of the server.
    throw error instanceof PermanentError ? error : new SourceError(error)
  }
}

export function isOfSource(error: unknown): boolean {
  return listCauses(error).some((cause) => cause instanceof SourceError)
}
