import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { runStates, runs } from "../../../../schemas/database/ledger.ts"
import {
  decidedStates,
  moveRun,
  type RunTransitionName,
  runTransitions,
  unfinishedStates,
} from "../../../../shared/ledger/runs/run-transitions.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../../fixtures/test-run.ts"

const top = fileURLToPath(new URL("../../../..", import.meta.url))
const names = Object.keys(runTransitions) as RunTransitionName[]
const database = useTestDatabase()

test("the README has the table of transitions", () => {
  const quote = (states: readonly string[]) => states.map((state) => `\`${state}\``).join(", ")
  const lines = Object.values(runTransitions).map(
    ({ from, to, by, when }) => `| ${quote(from)} | ${quote([to])} | ${by} | ${when} |`,
  )
  expect(readFileSync(join(top, "README.md"), "utf8")).toContain(lines.join("\n"))
})

test("no other statement changes the state of a run", () => {
  const files = ["services", "shared"].flatMap((folder) =>
    readdirSync(join(top, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)),
  )
  const others = files
    .filter((file) => file.endsWith(".ts") && !file.endsWith("run-transitions.ts"))
    .filter((file) => /update\(runs\)\s*\.set\(\{[^}]*\bstate\b/.test(readFileSync(join(top, file), "utf8")))
  expect(others).toEqual([])
})

test("the ledger's key of unfinished dates knows the same states as the table", async () => {
  const [row] = await database.query<{ e: string }>(`SELECT GENERATION_EXPRESSION AS e FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'unfinished_date'`)
  expect(runStates.filter((state) => row?.e.includes(state))).toEqual([...unfinishedStates])
  expect(new Set([...unfinishedStates, ...decidedStates])).toEqual(new Set(runStates))
})

test("each transition moves a run from the states of its table, and from no other", async () => {
  const { db } = database
  const run = await beginRun(db, cutAt())
  for (const name of names) {
    const { from, to } = runTransitions[name]
    for (const state of runStates) {
      await db.update(runs).set({ state })
      const isMoved = await moveRun(db, run, name)
      expect([name, state, isMoved]).toEqual([name, state, (from as readonly string[]).includes(state)])
      expect((await db.select({ state: runs.state }).from(runs))[0]?.state).toBe(isMoved ? to : state)
      await db.update(runs).set({ state })
      expect(await moveRun(db, { ...run, dispatch: run.dispatch - 1 }, name)).toBe(false)
    }
  }
})
