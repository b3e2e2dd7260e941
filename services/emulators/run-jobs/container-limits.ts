import { refuse } from "./refusals.ts"

// https://cloud.google.com/run/docs/configuring/jobs/cpu and .../memory-limits
const GIB = 2 ** 30
const MEMORY_MIN_BYTES = GIB / 2
const MEMORY_MAX_BYTES = 32 * GIB
/** Of so many processors: the memory they must have at least, and may have at most. */
const MEMORY_OF_CPUS: Record<number, { min: number; max: number }> = {
  1: { min: MEMORY_MIN_BYTES, max: 4 * GIB },
  2: { min: MEMORY_MIN_BYTES, max: 8 * GIB },
  4: { min: 2 * GIB, max: 16 * GIB },
  6: { min: 4 * GIB, max: 24 * GIB },
  8: { min: 4 * GIB, max: MEMORY_MAX_BYTES },
}
const UNITS: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: GIB }

/** Limits are checked and stored, and not enforced. */
export function checkLimits(field: string, limits: Record<string, string>): void {
  const { cpu = "1", memory = "512Mi" } = limits
  const [, count = "", milli] = /^(\d+(?:\.\d+)?)(m?)$/.exec(cpu) ?? []
  const cpus = count === "" ? Number.NaN : Number(count) / (milli ? 1000 : 1)
  const fitting = MEMORY_OF_CPUS[cpus]
  if (!fitting) refuse(`${field}.cpu`, `must be one of ${Object.keys(MEMORY_OF_CPUS).join(", ")}: ${cpu}`)
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)(k|M|G|Ki|Mi|Gi)?$/.exec(memory) ?? []
  const bytes = amount === "" ? Number.NaN : Number(amount) * (UNITS[unit] ?? Number.NaN)
  if (!(bytes >= MEMORY_MIN_BYTES && bytes <= MEMORY_MAX_BYTES)) {
    refuse(`${field}.memory`, `must be between 512Mi and 32Gi: ${memory}`)
  }
  if (bytes < fitting.min || bytes > fitting.max) {
    const range = `between ${fitting.min / GIB}Gi and ${fitting.max / GIB}Gi`
    refuse(`${field}.memory`, `must be ${range} with ${cpus} CPU: ${memory}`)
  }
  const other = Object.keys(limits).find((name) => name !== "cpu" && name !== "memory")
  if (other !== undefined) refuse(field, `not a limit of a job: "${other}"`)
}
