import type { SourceRead } from "./shop-day.ts"

/** How a day is read, for people: `read by day-scan of the index by_time`. */
export function describeRead({ accessPath, sourceIndex }: SourceRead): string {
  const names = sourceIndex.split(",").filter((name) => name !== "")
  if (names.length === 0) return `read by ${accessPath}, without an index`
  return `read by ${accessPath} of the ${names.length === 1 ? "index" : "indexes"} ${names.join(", ")}`
}
