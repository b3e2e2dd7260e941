import type { GetFilesResponse } from "@google-cloud/storage"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { type ListOptions, listNames } from "../../../services/emulators/storage/list-names.ts"
import { compareNames } from "../../../services/emulators/storage/names.ts"
import { startTestStorage } from "./start-storage.ts"

// Few letters, so that names share prefixes and delimiters; the last two sort differently by UTF-16 and by UTF-8.
const text = (maxLength: number) =>
  fc.array(fc.constantFrom("a", "b", "/", "é", "\uffee", "😀"), { maxLength }).map((parts) => parts.join(""))
const names = fc.uniqueArray(
  text(6).filter((name) => name !== ""),
  { maxLength: 30 },
)
const filters = fc.record({
  prefix: text(2),
  delimiter: fc.constantFrom("", "/", "a", "ab"),
  startOffset: text(3),
  endOffset: text(3),
  includeTrailingDelimiter: fc.boolean(),
})

test("the pages of a list, put together, are what a naive model lists", () => {
  fc.assert(
    fc.property(names, filters, fc.integer({ min: 1, max: 5 }), (names, filter, maxResults) => {
      const sorted = names.toSorted(compareNames)
      const listed = { names: [] as string[], prefixes: [] as string[] }
      let pageToken: string | undefined
      do {
        const page = listNames(sorted, { ...filter, maxResults, pageToken })
        expect(page.names.length + page.prefixes.length).toBeLessThanOrEqual(maxResults)
        listed.names.push(...page.names)
        listed.prefixes.push(...page.prefixes)
        pageToken = page.nextPageToken
      } while (pageToken !== undefined)
      expect(listed).toEqual(modelList(names, filter))
    }),
    { numRuns: 500 },
  )
})

test("the client lists what the model lists, page by page, prefixes and all", async () => {
  const { bucket } = await startTestStorage()
  const names = ["a", "a/1", "a/2", "a/b/3", "ab/1", "b", "b/", "b//x", "😀", "\uffee"]
  await Promise.all(names.map((name) => bucket.file(name).save(name, { resumable: false })))
  for (const [prefix, delimiter] of [
    ["", "/"],
    ["a", ""],
    ["a/", "/"],
    ["b/", "/"],
    ["", ""],
  ] as const) {
    const listed = { names: [] as string[], prefixes: [] as string[] }
    const query = { autoPaginate: false, prefix, delimiter, maxResults: 2 }
    for (let next: object | null = query; next; ) {
      const [files, following, page]: GetFilesResponse = await bucket.getFiles(next)
      listed.names.push(...files.map((file) => file.name))
      listed.prefixes.push(...((page as { prefixes?: string[] }).prefixes ?? []))
      next = following
    }
    const offsets = { startOffset: "", endOffset: "", includeTrailingDelimiter: false }
    expect(listed).toEqual(modelList(names, { prefix, delimiter, ...offsets }))
  }
  const [between] = await bucket.getFiles({ startOffset: "a/2", endOffset: "b" })
  expect(between.map(({ name }) => name)).toEqual(["a/2", "a/b/3", "ab/1"])
})

test("an empty list has neither items nor prefixes, and of no bucket is a 404", async () => {
  const { server } = await startTestStorage()
  expect(await (await fetch(`${server.url}/b/shop/o`)).json()).toEqual({ kind: "storage#objects" })
  expect((await fetch(`${server.url}/b/none/o`)).status).toBe(404)
  expect((await fetch(`${server.url}/b/shop/o?maxResults=-1`)).status).toBe(400)
  expect((await fetch(`${server.url}/b/shop/o?pageToken=%20`)).status).toBe(400)
})

/** The documentation of the parameters, word by word. */
function modelList(names: string[], filter: Omit<ListOptions, "maxResults" | "pageToken">) {
  const { prefix, delimiter, startOffset, endOffset, includeTrailingDelimiter } = filter
  const matching = names
    .filter((name) => name.startsWith(prefix))
    .filter((name) => compareNames(name, startOffset) >= 0)
    .filter((name) => endOffset === "" || compareNames(name, endOffset) < 0)
  const rolledUp = (name: string) => {
    const rest = name.slice(prefix.length)
    return delimiter !== "" && rest.includes(delimiter) ? prefix + rest.split(delimiter)[0] + delimiter : undefined
  }
  const isItem = (name: string) => rolledUp(name) === undefined || (includeTrailingDelimiter && rolledUp(name) === name)
  return {
    names: matching.filter(isItem).toSorted(compareNames),
    prefixes: [...new Set(matching.flatMap((name) => rolledUp(name) ?? []))].toSorted(compareNames),
  }
}
