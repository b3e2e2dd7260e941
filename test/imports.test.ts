import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

/*
 * The order of the folders, from the bottom: a file imports from its own place and from floors below it. Places on one
 * floor do not know each other. This list is the only one.
 */
const floors = [
  ["schemas/json.ts", "schemas/messages", "schemas/documents", "schemas/database"],
  ["shared/errors.ts", "shared/range.ts", "shared/asker.ts", "shared/slow-clients.ts"],
  ["shared/config", "shared/google", "shared/telemetry"],
  ["shared/transient.ts", "shared/lifecycle.ts"],
  ["shared/retry.ts"],
  // The bucket keeps texts by their paths and knows nothing of runs; the ledger keeps some of those paths.
  ["shared/database", "shared/documents"],
  ["shared/day"],
  ["shared/ledger"],
  // A request is followed and a verdict is sent by what the ledger says; a terminal shows it.
  ["shared/messages", "shared/terminal", "shared/apply-retention.ts"],
  // What is posted names the topic that it comes from, and says amounts as a terminal does.
  ["shared/open-service.ts", "shared/webhook"],
  ["services/emulators", "services/emulators/processes"],
  ["services/emulators/pubsub", "services/emulators/storage", "services/emulators/run-jobs"],
  ["services/planner", "services/worker", "services/finalizer", "services/page", "services/notify"],
  ["services/cli", "services/migrate", "services/provision", "services/build"],
  ["services/local"],
  ["services/demo"],
]

const places = floors.flatMap((floor, height) => floor.map((place) => ({ place, height })))
const root = fileURLToPath(new URL("..", import.meta.url))
const files = globSync("{services,shared,schemas}/**/*.ts", { cwd: root })
const imports = new Map(files.map((file) => [file, readImports(file)]))

test("no files import each other in a circle, not even by types", () => {
  expect(findCircles(imports).map((circle) => circle.join(" -> "))).toEqual([])
})

test("a file imports from its own place or from below", () => {
  const wrong = edges().filter(([from, to]) => {
    const [above, below] = [placeOf(from), placeOf(to)]
    return above.place !== below.place && above.height <= below.height
  })
  expect(wrong.map(([from, to]) => `${from} -> ${to}`)).toEqual([])
})

test("nothing but shared/ledger imports tables of the ledger, or published_days: statements on them are there alone", () => {
  const tables = [
    { file: "schemas/database/ledger.ts", names: namesOfTables("schemas/database/ledger.ts") },
    { file: "schemas/database/revenue.ts", names: ["publishedDays"] },
  ]
  expect(tables[0]?.names).toContain("backfillDays")
  const wrong = files
    .filter((file) => !file.startsWith("shared/ledger/"))
    .flatMap((file) =>
      tables.flatMap((table) =>
        namesFrom(file, table.file)
          .filter((name) => table.names.includes(name) || name.startsWith("*"))
          .map((name) => `${file}: ${name}`),
      ),
    )
  expect(wrong).toEqual([])
})

test("every file has a place, and every place a file", () => {
  const taken = new Set(files.map((file) => placeOf(file).place))
  expect(places.map(({ place }) => place).filter((place) => !taken.has(place))).toEqual([])
})

test("circles are found: of two files, of three, and none twice", () => {
  const graph = new Map([
    ["a", ["b"]],
    ["b", ["a", "c"]],
    ["c", ["d"]],
    ["d", ["e"]],
    ["e", ["c"]],
    ["f", ["a", "e"]],
  ])
  expect(findCircles(graph)).toEqual([
    ["a", "b"],
    ["c", "d", "e"],
  ])
})

/** What a file names in `import … from`, `export … from`, `import "…"` and `import("…")`, types included. */
function readImports(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8")
  const named = [...text.matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)]
  return named.map(([, path = ""]) => normalize(join(dirname(file), path)))
}

/** The names of the tables that a file makes with drizzle. */
function namesOfTables(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8")
  return [...text.matchAll(/export const (\w+) = mysqlTable\(/g)].map(([, name = ""]) => name)
}

/** The names, but for types, that a file imports or exports from another. */
function namesFrom(file: string, from: string): string[] {
  const text = readFileSync(join(root, file), "utf8")
  const statements = [...text.matchAll(/\b(?:import|export)\s+(?!type\b)(\{[^}]*\}|\*[^"]*)\s*from\s*"(\.[^"]+\.ts)"/g)]
  return statements
    .filter(([, , path = ""]) => normalize(join(dirname(file), path)) === from)
    .flatMap(([, names = ""]) => names.replaceAll(/[{}]/g, "").split(","))
    .map((name) => name.trim().split(" as ")[0] ?? "")
    .filter((name) => name !== "" && !name.startsWith("type "))
}

function edges(): [from: string, to: string][] {
  return [...imports].flatMap(([from, targets]) => targets.map((to): [string, string] => [from, to]))
}

/** The longest place that a file is in. Throws for a file that is in none: write it into the list above. */
function placeOf(file: string): { place: string; height: number } {
  const found = places
    .filter(({ place }) => file === place || file.startsWith(`${place}/`))
    .toSorted((a, b) => b.place.length - a.place.length)
  if (!found[0]) throw new Error(`${file} has no place in the order of the folders`)
  return found[0]
}

/** Groups of files that reach each other: https://en.wikipedia.org/wiki/Tarjan%27s_strongly_connected_components_algorithm */
function findCircles(graph: Map<string, string[]>): string[][] {
  const seen = new Map<string, { at: number; low: number }>()
  const open: string[] = []
  const circles: string[][] = []
  const visit = (file: string) => {
    const own = { at: seen.size, low: seen.size }
    seen.set(file, own)
    open.push(file)
    for (const next of graph.get(file) ?? []) {
      const known = seen.get(next) ?? visit(next)
      if (open.includes(next)) own.low = Math.min(own.low, known.low)
    }
    if (own.low === own.at) {
      const circle = open.splice(open.indexOf(file))
      if (circle.length > 1) circles.push(circle.toSorted())
    }
    return own
  }
  for (const file of graph.keys()) if (!seen.has(file)) visit(file)
  return circles.toSorted()
}
