import { createShop } from "../../services/local/shop/create-shop.ts"
import { date, openRoom, type Room } from "./fixture.ts"
import { measureBalance } from "./measure-balance.ts"
import { measureDeclared } from "./measure-declared.ts"
import { measureGrowth } from "./measure-growth.ts"
import { measureMemory } from "./measure-memory.ts"
import { measureOrchestration } from "./measure-orchestration.ts"
import { measureRows } from "./measure-rows.ts"
import { measureStarts } from "./measure-starts.ts"
import { measureWays } from "./measure-ways.ts"
import { type BenchOptions, type Section, sectionNames } from "./options.ts"
import {
  showBalance,
  showDeclared,
  showGrowth,
  showMemory,
  showOrchestration,
  showRows,
  showStarts,
  showWays,
} from "./show-figures.ts"

type Say = (line: string) => void

interface Bench {
  /** Instead of the options'. */
  shardPurchases?: number
  measure(room: Room, options: BenchOptions, say: Say): Promise<{ figures: unknown; lines: string[] }>
}

// Each in a cloud and a database of its own. A shard of a billion purchases is a day in one shard.
const benches: Record<Section, Bench> = {
  ways: {
    measure: async (room, options, say) => {
      await fillShop(room, options, say)
      return shown(await measureWays(room, options, say), showWays)
    },
  },
  starts: {
    measure: async (room, { repeat }) => shown(await measureStarts(room, repeat), showStarts),
    shardPurchases: 500,
  },
  rows: { measure: async (room, options) => shown(await measureRows(room, options), showRows) },
  declared: { measure: async (room, { repeat }) => shown(await measureDeclared(room, repeat), showDeclared) },
  memory: { measure: async (room) => shown(await measureMemory(room), showMemory), shardPurchases: 1_000_000_000 },
  orchestration: {
    measure: async (room, { shards, repeat }) =>
      shown(await measureOrchestration(room, shards, repeat), showOrchestration),
    shardPurchases: 1,
  },
  balance: { measure: async (room) => shown(await measureBalance(room), showBalance) },
  growth: { measure: async (room) => shown(await measureGrowth(room), showGrowth) },
}

/** Measures the sections asked for, prints each as it is measured, and returns all figures. */
export async function runBench(options: BenchOptions, say: Say): Promise<Partial<Record<Section, unknown>>> {
  const all: Partial<Record<Section, unknown>> = {}
  for (const section of sectionNames.filter((name) => options.sections.includes(name))) {
    const bench = benches[section]
    const { shardPurchases } = bench
    say(`\n== ${section} ==`)
    const room = await openRoom({ ...options, ...(shardPurchases ? { shardPurchases } : {}) })
    say(room.cloud.databaseServer?.name ?? "on the server of DATABASE_URL")
    try {
      const { figures, lines } = await bench.measure(room, options, say)
      all[section] = figures
      lines.forEach(say)
    } finally {
      await room.close()
    }
  }
  return all
}

function shown<Figures>(figures: Figures, show: (figures: Figures) => string[]) {
  return { figures, lines: show(figures) }
}

async function fillShop(room: Room, { users, purchases }: BenchOptions, say: Say): Promise<void> {
  const startedAt = performance.now()
  await createShop(room.databaseUrl, { users, purchases, days: 3, date })
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  say(`a shop of ${users} users with ${purchases} purchases on ${date}, made in ${seconds} s`)
}
