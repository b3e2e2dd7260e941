import type { UserId, UserType } from "../../schemas/database/user-type.ts"

// Behind what two keys begin with: enough to cut what a million users share.
const PLACES = 12

/**
 * Names keys that cut what lies from one user to another into about `parts` equal parts, in ascending order; fewer or none where
 * there is nothing between. Of texts they are proposals: which comes first is for their column to say.
 */
export function splitKeys(type: UserType, from: UserId, to: UserId, parts: number): UserId[] {
  if (type.kind === "integer") return interpolate(BigInt(from), BigInt(to), parts)
  const [first, last] = [unitsOf(type, String(from)), unitsOf(type, String(to))]
  const alphabet = alphabetOf(type)
  const base = BigInt(alphabet.length)
  let shared = 0
  while (shared < first.length && first[shared] === last[shared]) shared++
  const toNumber = (units: string[]) =>
    Array.from({ length: PLACES }, (_, at) => BigInt(placeOf(alphabet, units[shared + at]))).reduce(
      (sum, place) => sum * base + place,
      0n,
    )
  const toKey = (value: bigint) => {
    const places: bigint[] = []
    for (let rest = value; places.length < PLACES; rest /= base) places.unshift(rest % base)
    const units = places.map((place) => alphabet[Number(place)])
    return [...first.slice(0, shared), ...units].slice(0, type.length).join("")
  }
  return [...new Set(interpolate(toNumber(first), toNumber(last), parts).map(toKey))]
}

function interpolate(from: bigint, to: bigint, parts: number): bigint[] {
  const keys: bigint[] = []
  for (let part = 1; part < parts; part++) {
    const key = from + ((to - from + 1n) * BigInt(part)) / BigInt(parts)
    if (key > (keys.at(-1) ?? from)) keys.push(key)
  }
  return keys
}

type WordType = Exclude<UserType, { kind: "integer" }>

const isCaseless = (type: WordType) => type.kind === "text" && !type.collation.endsWith("_bin")

/** The characters of a text, or two digits for each byte. */
function unitsOf(type: WordType, key: string): string[] {
  if (type.kind === "bytes") return key.match(/../g) ?? []
  return Array.from(isCaseless(type) ? key.toLowerCase() : key)
}

const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, "0"))
const printable = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at))
const caseless = Array.from(" 0123456789abcdefghijklmnopqrstuvwxyz")

/** What most keys are made of, in the order that nearly every column gives it. */
function alphabetOf(type: WordType): string[] {
  if (type.kind === "bytes") return bytes
  return isCaseless(type) ? caseless : printable
}

function placeOf(alphabet: string[], unit: string | undefined): number {
  return unit === undefined
    ? 0
    : Math.max(
        0,
        alphabet.findLastIndex((known) => known <= unit),
      )
}
