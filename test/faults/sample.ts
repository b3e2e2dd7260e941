import { suiteSeed } from "./random.ts"

/** A part of the cases, every n-th, for who is in a hurry; 0 tries those crash points too that are the same as others. */
export const EVERY = Number(process.env["FAULTS_EVERY"] ?? "1")

/** Whether a case is tried: another part with another seed, so that all are tried in the course of time. */
export function isInSample(_case: unknown, at: number): boolean {
  const every = Math.max(1, EVERY)
  return at % every === suiteSeed % every
}

const POINTS = process.env["FAULTS_POINTS"] ?? "both"

/** Whether callers are killed, and whether their statements are refused. */
export const tries = { crashes: POINTS !== "refusals", refusals: POINTS !== "crashes" }
