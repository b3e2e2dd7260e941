import { describeError, listCauses, PermanentError } from "../errors.ts"

/** Turns an error that people can put right into a sentence for them; undefined if it is none. */
export type ExplainError = (error: unknown) => string | undefined

/**
 * What a log says of an error: what happened, and where in the code only if it should not happen at all. What a server
 * refused, or we did, is told by its message alone.
 */
export function errorFields(error: unknown, explain?: ExplainError): { error: string; stack?: string } {
  const sentence = explain?.(error)
  if (sentence !== undefined) return { error: sentence }
  const fields = { error: describeError(error) }
  if (!(error instanceof Error) || error.stack === undefined || isRefusal(error)) return fields
  return { ...fields, stack: error.stack }
}

function isRefusal(error: Error): boolean {
  if (error instanceof PermanentError) return true
  return listCauses(error).some((cause) => "code" in cause || "errno" in cause)
}
