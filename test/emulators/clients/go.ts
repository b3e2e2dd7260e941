import { existsSync } from "node:fs"
import { join } from "node:path"
import { type Client, isThere, run } from "./client.ts"

const GOPATH = "/usr/share/gocode"

export const go: Client = {
  name: "Go",
  missing: async () =>
    (await isThere("go", "version")) && existsSync(join(GOPATH, "src/cloud.google.com/go/storage"))
      ? undefined
      : "Go and its clients (Debian's golang-go, golang-google-cloud-dev) are not on this machine",
  async *try({ storage, folder }) {
    const env = {
      GOPATH,
      GO111MODULE: "off",
      GOCACHE: join(folder, "go-cache"),
      STORAGE_URL: storage,
      // Its reads and uploads know no endpoint but this one.
      STORAGE_EMULATOR_HOST: storage.replace("http://", ""),
    }
    const { code, output } = await run("go", ["run", new URL("go/main.go", import.meta.url).pathname], { env })
    const lines = output.split("\n").filter((line) => line.includes("\t"))
    for (const line of lines) {
      const [operation = "", result = ""] = line.split("\t")
      yield { service: "Storage", operation, result }
    }
    if (code !== 0) yield { service: "Storage", operation: "the program", result: output.trim().slice(-300) }
  },
}
