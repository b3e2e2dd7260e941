import { crc32 } from "node:zlib"

/** Numbers from a seed: the same seed, the same case. https://prng.di.unimi.it/splitmix64.c, 32 bits of it. */
export interface Random {
  /** From 0 to `max` - 1. */
  below(max: number): number
  pick<T>(from: readonly T[]): T
  chance(probability: number): boolean
}

export function createRandom(seed: number): Random {
  let state = BigInt.asUintN(64, BigInt(seed) * 0x9e3779b97f4a7c15n)
  const next = () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n)
    let mixed = state
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n)
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn)
    return Number(BigInt.asUintN(32, mixed ^ (mixed >> 31n)))
  }
  const below = (max: number) => next() % max
  return {
    below,
    pick: (from) => from[below(from.length)] as (typeof from)[number],
    chance: (probability) => next() < probability * 2 ** 32,
  }
}

/**
 * Numbers for one thing of many, such as one call of a run: they depend on the seed and on its name, and not on what
 * came before it, so they are the same however the order of things differs.
 */
export function createRandomOf(seed: number, name: string): Random {
  return createRandom(crc32(name, seed))
}

/** The seed of this run of the suite: given, or drawn and printed. */
export const suiteSeed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 1_000_000))
