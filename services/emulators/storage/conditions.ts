import type { IncomingHttpHeaders } from "node:http"
import { ApiError, conditionNotMet, invalid } from "./errors.ts"
import { entityTag } from "./object-resource.ts"

/** What must hold of the live version: https://cloud.google.com/storage/docs/request-preconditions */
export interface Conditions {
  generationMatch?: bigint | undefined
  generationNotMatch?: bigint | undefined
  metagenerationMatch?: bigint | undefined
  metagenerationNotMatch?: bigint | undefined
  /** Entity tags, one of which it must have, or none of which it may have; `*` is any. */
  etagMatch?: string[] | undefined
  etagNotMatch?: string[] | undefined
}

type Query = Record<string, string | undefined>

/** The parameters `ifGenerationMatch` and so on, the headers of the XML API, and those of HTTP itself. */
export function parseConditions(query: Query, headers: IncomingHttpHeaders): Conditions {
  const header = (name: string) => [headers[name]].flat()[0]
  return {
    generationMatch: parseNumber("ifGenerationMatch", query.ifGenerationMatch ?? header("x-goog-if-generation-match")),
    generationNotMatch: parseNumber("ifGenerationNotMatch", query.ifGenerationNotMatch),
    metagenerationMatch: parseNumber(
      "ifMetagenerationMatch",
      query.ifMetagenerationMatch ?? header("x-goog-if-metageneration-match"),
    ),
    metagenerationNotMatch: parseNumber("ifMetagenerationNotMatch", query.ifMetagenerationNotMatch),
    etagMatch: parseTags(header("if-match")),
    etagNotMatch: parseTags(header("if-none-match")),
  }
}

/** Those of the object that another is made of. */
export function parseSourceConditions(query: Query): Conditions {
  return {
    generationMatch: parseNumber("ifSourceGenerationMatch", query.ifSourceGenerationMatch),
    generationNotMatch: parseNumber("ifSourceGenerationNotMatch", query.ifSourceGenerationNotMatch),
    metagenerationMatch: parseNumber("ifSourceMetagenerationMatch", query.ifSourceMetagenerationMatch),
    metagenerationNotMatch: parseNumber("ifSourceMetagenerationNotMatch", query.ifSourceMetagenerationNotMatch),
  }
}

const parseTags = (header: string | undefined) => header?.split(",").map((tag) => tag.trim().replaceAll(/^W\/|"/g, ""))

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
  const { etagMatch, etagNotMatch } = conditions
  const hasTag = (tags: string[]) => live !== undefined && (tags.includes("*") || tags.includes(entityTag(live)))
  if (etagMatch && !hasTag(etagMatch)) throw conditionNotMet()
  const unchanged =
    (etagNotMatch !== undefined && hasTag(etagNotMatch)) ||
    (generationNotMatch !== undefined && (!live || generationNotMatch === generation)) ||
    (metagenerationNotMatch !== undefined && (!live || metagenerationNotMatch === metageneration))
  if (unchanged) throw call === "read" ? new ApiError(304, "notModified", "Not Modified") : conditionNotMet()
}

function parseNumber(parameter: string, text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,19}$/.test(text)) throw invalid(`Invalid value for ${parameter}: '${text}'`)
  return BigInt(text)
}
