import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, statSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { buildImage } from "../../services/build/build-image.ts"
import { optionalPackages } from "../../services/build/build-services.ts"
import { createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface Instruction {
  stage: number
  name: string
  words: string
}

async function readDockerfile(): Promise<Instruction[]> {
  const text = await readFile(join(root, "services/Dockerfile"), "utf8")
  let stage = 0
  return text
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => {
      const [, name = "", words = ""] = /^(\S+) (.*)$/.exec(line) ?? []
      if (name === "FROM") stage++
      return { stage, name, words }
    })
}

describe("services/Dockerfile", () => {
  it("copies what is there and what .dockerignore lets through", async () => {
    const copies = (await readDockerfile()).filter(({ stage, name }) => stage === 1 && name === "COPY")
    const sources = copies.flatMap(({ words }) => words.split(" ").slice(0, -1))
    const ignore = (await readFile(join(root, ".dockerignore"), "utf8")).split("\n")
    expect(ignore.filter((line) => line.startsWith("!")).toSorted()).toEqual(
      sources.map((path) => `!${path}`).toSorted(),
    )
    expect(ignore).toContain("*")
    for (const source of sources) expect(existsSync(join(root, source))).toBe(true)
  })

  it("builds and runs with one node, at one path, as one user who is not root", async () => {
    const instructions = await readDockerfile()
    const wordsOf = (name: string) => instructions.filter((one) => one.name === name).map((one) => one.words)
    expect(wordsOf("FROM").map((words) => words.split(" ")[0])).toEqual(["${NODE_IMAGE}", "${NODE_IMAGE}"])
    expect(wordsOf("USER")).toEqual(["node", "node"])
    expect(instructions.at(-1)).toMatchObject({ name: "CMD" })
    const build = instructions.findIndex(({ words }) => words === "node services/build/build-image.ts /app")
    expect(instructions[build - 1]).toMatchObject({ name: "USER" })
    expect(wordsOf("COPY").at(-1)).toBe("--from=build /app /app")
    expect(wordsOf("ENTRYPOINT")).toEqual(['["node"]'])
  })

  it("has the node that the tests run on, and names it by its digest", async () => {
    const [image] = (await readDockerfile()).filter(({ name }) => name === "ARG")
    const [tag, digest] = (image?.words ?? "").split("@")
    expect(tag).toBe(`NODE_IMAGE=node:${process.versions.node}-bookworm-slim`)
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
  })
})

describe("the image", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "daybook-image-"))
    await buildImage(folder)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Runs a program of the image, with nothing but the given environment. */
  function runProgram(name: string, env: Record<string, string> = {}) {
    return spawnSync(process.execPath, [`${name}.cjs`], { cwd: folder, env, encoding: "utf8" })
  }

  it("holds its programs, their compile cache, the optional packages, the migrations, the checks and the page's files, and nothing else", () => {
    const programs = ["finalizer", "migrate", "notify", "page", "planner", "worker"]
    expect(readdirSync(folder).toSorted()).toEqual(
      [
        ...programs.flatMap((name) => [`${name}.bundle.cjs`, `${name}.cjs`]),
        "assets",
        "checks",
        "compile-cache",
        "migrations",
        "node_modules",
      ].toSorted(),
    )
    const sizes = readdirSync(folder, { recursive: true, encoding: "utf8" }).map(
      (path) => statSync(join(folder, path)).size,
    )
    const packages = readdirSync(join(folder, "node_modules"), { recursive: true, encoding: "utf8" })
    expect(
      packages
        .filter((path) => path.endsWith(".js"))
        .map(dirname)
        .toSorted(),
    ).toEqual(optionalPackages)
    // The README says 54 MB: an image of a few hundred MB would start slower.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(80 * 1024 * 1024)
  })

  it.each([
    ["planner", "DATABASE_URL"],
    ["worker", "DATABASE_URL"],
    ["finalizer", "DATABASE_URL"],
    ["page", "DATABASE_URL"],
    ["migrate", "DATABASE_URL"],
    ["notify", "NOTIFY_URL"],
  ])("%s names the settings that it lacks, and exits 1", (name, lacking) => {
    const { status, stderr, stdout } = runProgram(name)
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" })
    expect(stderr).toContain(`${lacking} is not set`)
  })

  it("starts from its compile cache, which any user may read", () => {
    const { stderr, stdout } = runProgram("worker", { NODE_DEBUG_NATIVE: "COMPILE_CACHE" })
    expect(`${stdout}${stderr}`).toMatch(/worker\.bundle\.cjs was accepted/)
    for (const file of readdirSync(join(folder, "compile-cache"), { recursive: true, encoding: "utf8" })) {
      expect(statSync(join(folder, "compile-cache", file)).mode & 0o044).toBe(0o044)
    }
  })

  it("finds the connector of Cloud SQL in itself, and asks Google for the instance", () => {
    const { status, stderr } = runProgram("migrate", {
      DATABASE_URL: "mysql://daybook@cloud-sql/shop",
      CLOUD_SQL_INSTANCE: "shop:europe-west1:main",
      METADATA_SERVER_DETECTION: "none",
      HOME: folder,
    })
    expect(status).toBe(1)
    expect(stderr).toContain("Could not load the default credentials")
  })

  describe("with a database", () => {
    let database: TestDatabase
    beforeAll(async () => {
      database = await createTestDatabase()
    })
    afterAll(() => database.drop())

    it("migrates from an image that knows nothing of the sources", async () => {
      await database.query("DROP VIEW revenue", "DROP TABLE daybook_migrations")
      const { status, stdout, stderr } = runProgram("migrate", { DATABASE_URL: database.url })
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
      const files = readdirSync(join(root, "schemas/database/migrations")).filter((name) => name.endsWith(".sql"))
      expect(stdout).toBe(files.map((name) => `applied ${name.replace(".sql", "")}\n`).join(""))
      expect(await database.query("SELECT COUNT(*) AS days FROM revenue")).toHaveLength(1)
    })

    it("finds OpenTelemetry in itself where traces are wanted, and names the run in its last words", () => {
      const { status, stdout } = runProgram("worker", {
        DATABASE_URL: database.url,
        GOOGLE_CLOUD_PROJECT: "shop",
        BUCKET: "shop",
        RUN_ID: "2026-11-22-unknown",
        DISPATCH: "0",
        CLOUD_RUN_EXECUTION: "worker-x",
        CLOUD_RUN_TASK_INDEX: "0",
        CLOUD_RUN_TASK_ATTEMPT: "0",
        CLOUD_RUN_TASK_COUNT: "1",
        OTEL_TRACES_EXPORTER: "console",
      })
      expect(status).toBe(1)
      const [line = ""] = stdout.split("\n")
      expect(JSON.parse(line)).toMatchObject({
        severity: "CRITICAL",
        runId: "2026-11-22-unknown",
        execution: "worker-x",
      })
      expect(stdout).toMatch(/name: 'task',[^]*'daybook.runId': '2026-11-22-unknown'/)
    })

    it.each(["planner", "finalizer"])("%s answers /healthz, and ends by itself at SIGTERM", async (name) => {
      const child = spawn(process.execPath, [`${name}.cjs`], {
        cwd: folder,
        stdio: ["ignore", "pipe", "inherit"],
        env: {
          DATABASE_URL: database.url,
          GOOGLE_CLOUD_PROJECT: "shop",
          BUCKET: "shop",
          WORKER_JOB: "projects/shop/locations/here/jobs/worker",
          PORT: "0",
          HOST: "127.0.0.1",
          // Nothing is called: a request for health needs no cloud.
          PUBSUB_EMULATOR_HOST: "127.0.0.1:1",
          STORAGE_EMULATOR_HOST: "http://127.0.0.1:1",
          RUN_EMULATOR_HOST: "127.0.0.1:1",
          METADATA_SERVER_DETECTION: "none",
        },
      })
      try {
        const url = await readUrl(child)
        const answer = await fetch(`${url}/healthz`)
        expect(answer.status).toBe(200)
        const exit = once(child, "exit")
        child.kill("SIGTERM")
        expect(await exit).toEqual([0, null])
      } finally {
        child.kill("SIGKILL")
      }
    })
  })
})

/** Waits for the line that says where a service listens. */
async function readUrl(child: ChildProcess): Promise<string> {
  let output = ""
  for await (const chunk of child.stdout ?? []) {
    output += String(chunk)
    const url = /"url":"([^"]+)"/.exec(output)?.[1]
    if (url) return url
  }
  throw new Error(`it ended without listening: ${output}`)
}
