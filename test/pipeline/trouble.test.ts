import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest"
import { buildServices } from "../../services/build/build-services.ts"
import { openJobs } from "../../shared/google/open-run-jobs.ts"
import { topics } from "../../shared/messages/topics.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

/* What a person sees when something around the services is not as it should be: the real bundles, as processes. */

let pipeline: Pipeline
let programs: Awaited<ReturnType<typeof buildServices>>

beforeAll(async () => {
  programs = await buildServices()
  pipeline = await startPipeline({ deliveryAttemptsMax: 5 })
  await pipeline.query(...purchasesOf(20, 2))
})
afterAll(() => pipeline.stop())

function startProgram(file: string, env: Record<string, string>) {
  const { PATH = "" } = process.env
  const child = spawn(process.execPath, [file], {
    env: { PATH, ...pipeline.cloud.env, HOST: "127.0.0.1", PORT: "0", ...env },
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()))
  return { child, output: () => output, ended: once(child, "exit").then(([code]) => code as number | null) }
}

/** Pushes a run request to a planner of its own that has this environment, and returns what it logged of it. */
async function pushTo(env: Record<string, string>): Promise<Record<string, unknown>> {
  const { child, output, ended } = startProgram(programs.planner, env)
  const lines = () =>
    output()
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const url = await vi.waitFor(
    () => (lines().find((line) => line.message === "listening")?.url as string | undefined) ?? fail(output()),
    {
      timeout: 20_000,
    },
  )
  const message = {
    messageId: "4711",
    publishTime: "2026-11-23T01:00:00Z",
    data: Buffer.from(JSON.stringify({ date })).toString("base64"),
  }
  const answer = await fetch(`${url}/run-requests`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message, subscription: "projects/local/subscriptions/test" }),
  })
  expect(answer.status).toBe(503)
  child.kill("SIGTERM")
  expect(await ended).toBe(0)
  const logged = lines().find((line) => line.messageId === "4711")
  expect(logged).toMatchObject({ severity: "ERROR", path: "/run-requests" })
  expect(logged).not.toHaveProperty("stack")
  return logged ?? {}
}

function fail(output: string): never {
  throw new Error(`the planner does not listen: ${output}`)
}

function urlWith(change: (url: URL) => void): string {
  const url = new URL(pipeline.databaseUrl)
  change(url)
  return url.href
}

async function findClosedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address ? address.port : 1
}

test("a planner whose database is down starts, refuses messages, and says what to do", async () => {
  const port = await findClosedPort()
  const logged = await pushTo({ DATABASE_URL: `mysql://root@127.0.0.1:${port}/shop` })
  expect(logged.error).toBe(`No database answers at 127.0.0.1:${port}: start it, or correct DATABASE_URL.`)
})

test("a planner whose database was not migrated says so", async () => {
  const name = `daybook_test_bare_${process.pid}`
  await pipeline.query(`CREATE DATABASE ${name}`)
  const url = urlWith((bare) => (bare.pathname = `/${name}`))
  const logged = await pushTo({ DATABASE_URL: url })
  await pipeline.query(`DROP DATABASE ${name}`)
  expect(logged.error).toMatch(/lacks a table of Daybook's .*runs.*: run npm run migrate\.$/)
})

test.skipIf(!inject("mayCreateUsers"))(
  "a wrong password is told without a stack trace and without the password",
  async () => {
    await pipeline.query(
      "CREATE USER IF NOT EXISTS 'daybook_trial'@'%' IDENTIFIED BY 'right-password'",
      "CREATE USER IF NOT EXISTS 'daybook_trial'@'localhost' IDENTIFIED BY 'right-password'",
    )
    const url = urlWith((wrong) => {
      wrong.username = "daybook_trial"
      wrong.password = "wrong-password"
    })
    const logged = await pushTo({ DATABASE_URL: url })
    expect(logged.error).toMatch(/refuses the user "daybook_trial" with this password: correct DATABASE_URL/)

    const task = {
      RUN_ID: `${date}-1`,
      DISPATCH: "0",
      CLOUD_RUN_EXECUTION: "e",
      CLOUD_RUN_TASK_INDEX: "0",
      CLOUD_RUN_TASK_COUNT: "1",
    }
    const worker = startProgram(programs.worker, { ...task, CLOUD_RUN_TASK_ATTEMPT: "0", DATABASE_URL: url })
    expect(await worker.ended).toBe(1)
    expect(worker.output()).toMatch(
      /"error":"The database at .* refuses the user \\"daybook_trial\\" with this password/,
    )
    expect(worker.output() + JSON.stringify(logged)).not.toMatch(/wrong-password|\n\s+at /)
    await pipeline.query("DROP USER 'daybook_trial'@'%'", "DROP USER 'daybook_trial'@'localhost'")
  },
)

test.each(["planner", "worker", "finalizer"] as const)(
  "a %s without settings names them all and exits 1",
  async (name) => {
    const child = spawn(process.execPath, [programs[name]], { env: { DATABASE_URL: "" } })
    let output = ""
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()))
    const [code] = (await once(child, "exit")) as [number]
    expect(code).toBe(1)
    expect(output).toMatch(/^The environment cannot be used:\n/)
    expect(output).toMatch(/DATABASE_URL is set to nothing/)
    expect(output).toMatch(/BUCKET is not set/)
    expect(output).not.toMatch(/\n\s+at /)
  },
)

test("a request that cannot be carried out for long becomes a dead letter, and is carried out when it is sent again", async () => {
  const jobs = openJobs({ GOOGLE_CLOUD_PROJECT: "local", RUN_EMULATOR_HOST: pipeline.cloud.env["RUN_EMULATOR_HOST"] })
  const job = pipeline.cloud.env["WORKER_JOB"] ?? ""
  const [template] = await jobs.getJob({ name: job })
  const [deletion] = await jobs.deleteJob({ name: job })
  await deletion.promise()
  const messageId = await pipeline.publish(topics.runRequests, { date })
  const letters = () => pipeline.cloud.pubsub.messages(`projects/local/topics/${topics.deadLetters}`)
  await vi.waitFor(() => expect(letters()).toHaveLength(1), { timeout: 60_000 })
  expect(letters()[0]?.data.toString()).toBe(JSON.stringify({ date }))
  expect(pipeline.cloud.pubsub.backlog("projects/local/subscriptions/dead-letters").undelivered).toBe(1)
  expect(await pipeline.readLogs()).toMatch(new RegExp(`"messageId":"${messageId}".*NOT_FOUND`))

  const { containers, maxRetries } = template.template?.template ?? {}
  const { taskCount, parallelism } = template.template ?? {}
  const [creation] = await jobs.createJob({
    parent: job.replace(/\/jobs\/.*/, ""),
    jobId: job.replace(/.*\//, ""),
    job: { template: { taskCount, parallelism, template: { containers, maxRetries } } } as object,
  })
  await creation.promise()
  await jobs.close()
  // Its run was begun and keeps the date: the next request says so.
  const rejected = await pipeline.start()
  expect(rejected.reason).toContain(`run ${date}-${messageId} of ${date} is unfinished (planning)`)
})
