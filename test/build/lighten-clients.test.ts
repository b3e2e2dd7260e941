import { glob, readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import protobuf, { type INamespace } from "protobufjs"
import { describe, expect, test } from "vitest"
import { keepReachable } from "../../services/build/lighten-clients.ts"

const folderOf = (name: string) => fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url))

/** Descriptions, and the sources that look something up in them. */
const clients = {
  pubsub: {
    description: "build/protos/protos.json",
    sources: "build/src/v1/*_client.js",
    of: "@google-cloud/pubsub-api",
  },
  run: { description: "build/protos/protos.json", sources: "build/src/v2/*_client.js", of: "@google-cloud/run" },
  iam: { description: "build/protos/iam_service.json", sources: "build/src/iamService.js", of: "google-gax" },
  locations: { description: "build/protos/locations.json", sources: "build/src/locationService.js", of: "google-gax" },
  operations: {
    description: "build/protos/operations.json",
    sources: "build/src/operationsClient.js",
    of: "google-gax",
  },
}

const listMethods = (namespace: protobuf.NamespaceBase): string[] =>
  namespace.nestedArray.flatMap((object) => {
    if (object instanceof protobuf.Service) return object.methodsArray.map((method) => method.fullName)
    return object instanceof protobuf.Namespace ? listMethods(object) : []
  })

describe("what a bundle keeps of Google's descriptions", () => {
  test.each(Object.entries(clients))("of %s: every call, and whatever the client looks up", async (_name, of) => {
    const folder = folderOf(of.of)
    const whole = JSON.parse(await readFile(join(folder, of.description), "utf8")) as INamespace
    const kept = keepReachable(whole)
    const [before, after] = [protobuf.Root.fromJSON(whole), protobuf.Root.fromJSON(kept)]
    after.resolveAll()
    expect(listMethods(after)).toEqual(listMethods(before))
    expect(listMethods(after).length).toBeGreaterThan(0)
    const missing: string[] = []
    for await (const source of glob(join(folder, of.sources))) {
      for (const [, looked = ""] of (await readFile(source, "utf8")).matchAll(/lookup\w*\(['"]([^'"]+)['"]\)/g)) {
        if (before.lookup(looked) && !after.lookup(looked)) missing.push(looked)
      }
    }
    expect(missing).toEqual([])
  })

  test("the details of errors are whole", async () => {
    const status = JSON.parse(await readFile(join(folderOf("google-gax"), "build/protos/status.json"), "utf8"))
    expect(keepReachable(status as INamespace)).toEqual(status)
  })
})
