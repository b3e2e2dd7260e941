import { formatCount } from "./render-numbers.ts"

/**
 * Minor units as `-1,234.05`: `scale` says how many decimals they are, and no currency. Undefined is what is known by
 * currency alone.
 */
export function formatAmount(minorUnits: bigint | string | undefined, scale: number): string {
  if (minorUnits === undefined) return "by currency"
  const amount = BigInt(minorUnits)
  const size = amount < 0n ? -amount : amount
  const unit = 10n ** BigInt(scale)
  const decimals = scale === 0 ? "" : `.${String(size % unit).padStart(scale, "0")}`
  return `${amount < 0n ? "-" : ""}${formatCount(size / unit)}${decimals}`
}
