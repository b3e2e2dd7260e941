import { createShop } from "../../services/local/shop.ts"
import { measureWays } from "./measure-ways.ts"
import type { BenchOptions, Section } from "./options.ts"
import { date, openRoom, type Room } from "./room.ts"
import { showWays } from "./show-figures.ts"

type Say = (line: string) => void
export type Figures = Partial<Record<Section, unknown>>

/** Measures the sections asked for, prints each as it is measured, and returns all figures. */
export async function runBench(options: BenchOptions, say: Say): Promise<Figures> {
  const figures: Figures = {}
  const wants = (...sections: Section[]) => sections.some((section) => options.sections.includes(section))
  if (wants("ways")) {
    await withRoom(options, async (room) => {
      await fillShop(room, options, say)
      const ways = await measureWays(room, options, say)
      figures.ways = ways
      showWays(ways).forEach(say)
    })
  }
  return figures
}

async function withRoom(options: BenchOptions, use: (room: Room) => Promise<void>): Promise<void> {
  const room = await openRoom(options)
  try {
    await use(room)
  } finally {
    await room.close()
  }
}

async function fillShop(room: Room, { users, purchases }: BenchOptions, say: Say): Promise<void> {
  const startedAt = performance.now()
  await createShop(room.databaseUrl, { users, purchases, days: 3, date })
  say(
    `a shop of ${users} users with ${purchases} purchases on ${date}: ${Math.round((performance.now() - startedAt) / 1000)} s`,
  )
}
