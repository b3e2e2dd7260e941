/** A half-open interval `[from, to)` of user ids; an end that is undefined has no bound. */
export interface Range {
  from?: bigint | undefined
  to?: bigint | undefined
}

/** As messages and documents have it: an end without a bound is a field that is not there. */
export function rangeFields({ from, to }: Range): { from?: bigint; to?: bigint } {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

/** `[17, 42)`, `(-∞, 42)`: for people. */
export function formatRange(range: Range): string {
  return `${range.from === undefined ? "(-∞" : `[${range.from}`}, ${range.to === undefined ? "∞" : range.to})`
}

export function sameRange(a: Range, b: Range): boolean {
  return a.from === b.from && a.to === b.to
}

/**
 * Says where ranges, in the order of their indexes, fail to tile the whole id space: the first must have no lower
 * bound, the last no upper, and each must begin where the one before ends. Undefined if they do.
 */
export function findGap(ranges: Range[]): { index: number; reason: string } | undefined {
  if (ranges.length === 0) return { index: 0, reason: "there is no range at all" }
  for (const [index, range] of ranges.entries()) {
    const before = ranges[index - 1]
    if (!before && range.from !== undefined) return { index, reason: `ids below ${range.from} belong to no shard` }
    if (before && (range.from === undefined || range.from !== before.to)) {
      return { index, reason: `begins at ${range.from ?? "-∞"} and the shard before ends at ${before.to ?? "∞"}` }
    }
    if (range.from !== undefined && range.to !== undefined && range.from >= range.to) {
      return { index, reason: `${formatRange(range)} is empty` }
    }
    if (index === ranges.length - 1 && range.to !== undefined) {
      return { index, reason: `ids from ${range.to} on belong to no shard` }
    }
  }
  return undefined
}
