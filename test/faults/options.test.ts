import { CommanderError } from "commander"
import { expect, test } from "vitest"
import { readFaultOptions } from "./options.ts"

test("without options everything is run, from a seed that is drawn", () => {
  const read = readFaultOptions([], () => 0.5)
  expect(read).toEqual({ seed: 500_000, rounds: 20, every: 1, points: "both", load: false, files: [] })
})

test("a seed that is given is one round of the soak, or as many as are asked for", () => {
  expect(readFaultOptions(["--seed", "7"])).toMatchObject({ seed: 7, rounds: 1 })
  expect(readFaultOptions(["--seed", "7", "--rounds", "9", "soak"])).toMatchObject({ rounds: 9, files: ["soak"] })
})

test("the load is measured alone", () => {
  expect(readFaultOptions(["--load"])).toMatchObject({ load: true, files: ["load"] })
})

test.each([["--sed", "1"], ["--seed", "x"], ["--rounds", "-1"], ["--rounds"], ["--points", "x"]])(
  "%s %s is refused",
  (...args) => {
    expect(() => readFaultOptions(args)).toThrow(CommanderError)
  },
)
