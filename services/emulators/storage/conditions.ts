import { ApiError, conditionNotMet, invalid } from "./errors.ts"

/** The parameters `ifGenerationMatch` and so on: https://cloud.google.com/storage/docs/request-preconditions */
export interface Conditions {
  generationMatch: bigint | undefined
  generationNotMatch: bigint | undefined
  metagenerationMatch: bigint | undefined
  metagenerationNotMatch: bigint | undefined
}

export function parseConditions(query: Record<string, string | undefined>): Conditions {
  return {
    generationMatch: parseNumber(query, "ifGenerationMatch"),
    generationNotMatch: parseNumber(query, "ifGenerationNotMatch"),
    metagenerationMatch: parseNumber(query, "ifMetagenerationMatch"),
    metagenerationNotMatch: parseNumber(query, "ifMetagenerationNotMatch"),
  }
}

/**
 * Throws 412 unless every condition holds of the live version; for a read, 304 when the caller already has it.
 * Without a live version only `ifGenerationMatch=0` holds.
 */
export function checkConditions(
  conditions: Conditions,
  live: { generation: string; metageneration: number } | undefined,
  call: "read" | "write",
): void {
  const generation = BigInt(live?.generation ?? 0)
  const metageneration = live && BigInt(live.metageneration)
  const { generationMatch, generationNotMatch, metagenerationMatch, metagenerationNotMatch } = conditions
  if (generationMatch !== undefined && generationMatch !== generation) throw conditionNotMet()
  if (metagenerationMatch !== undefined && metagenerationMatch !== metageneration) throw conditionNotMet()
  const unchanged =
    (generationNotMatch !== undefined && (!live || generationNotMatch === generation)) ||
    (metagenerationNotMatch !== undefined && (!live || metagenerationNotMatch === metageneration))
  if (unchanged) throw call === "read" ? new ApiError(304, "notModified", "Not Modified") : conditionNotMet()
}

function parseNumber(query: Record<string, string | undefined>, parameter: string): bigint | undefined {
  const text = query[parameter]
  if (text === undefined) return undefined
  if (!/^\d{1,19}$/.test(text)) throw invalid(`Invalid value for ${parameter}: '${text}'`)
  return BigInt(text)
}
