import { readFileSync } from "node:fs"
import { join } from "node:path"
import { status } from "@grpc/grpc-js"
import { afterAll, beforeAll, expect, test } from "vitest"
import { LOCATION, type RunJobsFixture, startRunJobsFixture } from "./run-jobs-fixture.ts"

const PRINT_ENV = "env | sort"

let run: RunJobsFixture

beforeAll(async () => {
  run = await startRunJobsFixture({
    images: {
      shell: { command: ["sh", "-c"] },
      // A real `env`, without the variables that a shell adds.
      env: { command: ["env"], env: { FROM_IMAGE: "image", LEVEL: "image" } },
      echo: { command: ["echo"] },
    },
    secrets: { token: "s3cret" },
  })
})
afterAll(() => run.stop())

function logOf(execution: string, file = "0-0.log"): string {
  return readFileSync(join(run.folder, execution.slice(execution.lastIndexOf("/") + 1), file), "utf8")
}

test("a variable from a secret has its value; without the secret the job is not executed", async () => {
  const fromSecret = (secret: string) => [
    { name: "TOKEN", valueSource: { secretKeyRef: { secret, version: "latest" } } },
  ]
  const job = await run.createJob("secret", 'echo "$TOKEN $OTHER"', {
    env: [...fromSecret("token"), { ...fromSecret("projects/local/secrets/token")[0], name: "OTHER" }],
  })
  const execution = await run.run(job)
  await run.ended(execution)
  expect(logOf(execution)).toBe("s3cret s3cret\n")

  const unknown = await run.createJob("secret-unknown", "exit 0", { env: fromSecret("tokens") })
  await expect(run.run(unknown)).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    message: expect.stringContaining("Secret tokens, for TOKEN, was not found. This server has: token"),
  })
})

test("a task sees the container's variables, Cloud Run's own, PATH and HOME, and nothing else", async () => {
  process.env["SECRET_OF_THE_SERVER"] = "hidden"
  const [operation] = await run.jobs.createJob({
    parent: LOCATION,
    jobId: "env",
    job: {
      template: {
        taskCount: 2,
        template: {
          containers: [
            {
              image: "env",
              env: [
                { name: "LEVEL", value: "job" },
                { name: "EMPTY", value: "" },
              ],
            },
          ],
        },
      },
    },
  })
  const [job] = await operation.promise()
  const execution = await run.run(job.name ?? "")
  await run.ended(execution)
  expect(logOf(execution, "1-0.log").trim().split("\n").toSorted()).toEqual(
    [
      "CLOUD_RUN_JOB=env",
      `CLOUD_RUN_EXECUTION=${execution.slice(execution.lastIndexOf("/") + 1)}`,
      "CLOUD_RUN_TASK_INDEX=1",
      "CLOUD_RUN_TASK_COUNT=2",
      "CLOUD_RUN_TASK_ATTEMPT=0",
      "EMPTY=",
      "FROM_IMAGE=image",
      `HOME=${process.env["HOME"]}`,
      "LEVEL=job",
      `PATH=${process.env["PATH"]}`,
    ].toSorted(),
  )
})

test("overrides merge variables and set task count and timeout, for this execution only", async () => {
  const env = [
    { name: "KEPT", value: "job" },
    { name: "CHANGED", value: "job" },
  ]
  const job = await run.createJob("overridden", PRINT_ENV, { env, taskCount: 3 })
  const execution = await run.run(job, {
    taskCount: 1,
    timeout: { seconds: 30 },
    containerOverrides: [
      {
        name: "main",
        env: [
          { name: "CHANGED", value: "run" },
          { name: "NEW", value: "run" },
        ],
      },
    ],
  })
  expect(await run.ended(execution)).toMatchObject({
    taskCount: 1,
    succeededCount: 1,
    template: { timeout: { seconds: "30" } },
  })
  const lines = logOf(execution).split("\n")
  expect(lines).toEqual(expect.arrayContaining(["KEPT=job", "CHANGED=run", "NEW=run", "CLOUD_RUN_TASK_COUNT=1"]))

  const [stored] = await run.jobs.getJob({ name: job })
  expect(stored.template).toMatchObject({
    taskCount: 3,
    template: { timeout: { seconds: "600" }, containers: [{ env }] },
  })
})

test("overrides replace or clear the arguments", async () => {
  const containers = [{ image: "echo", args: ["from", "job"] }]
  const job = { template: { template: { containers } } }
  const [operation] = await run.jobs.createJob({ parent: LOCATION, jobId: "arguments", job })
  const [{ name }] = await operation.promise()
  const said = async (override: { args?: string[]; clearArgs?: boolean }) => {
    const execution = await run.run(name ?? "", { containerOverrides: [override] })
    await run.ended(execution)
    return logOf(execution)
  }
  expect(await said({})).toBe("from job\n")
  expect(await said({ args: ["from", "run"] })).toBe("from run\n")
  expect(await said({ clearArgs: true })).toBe("\n")
})

test("a task count below the job's parallelism or above 10,000 is refused", async () => {
  const job = await run.createJob("parallel", "exit 0", { taskCount: 4, parallelism: 3 })
  await expect(run.run(job, { taskCount: 2 })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  await expect(run.run(job, { taskCount: 10_001 })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  await expect(run.run(job, { taskCount: -1 })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  await run.ended(await run.run(job, { taskCount: 3 }))
  const [stored] = await run.jobs.getJob({ name: job })
  expect(stored.executionCount).toBe(1)
})

test("an override of a container that the job does not have is refused", async () => {
  const job = await run.createJob("one-container", "exit 0")
  await expect(run.run(job, { containerOverrides: [{ name: "sidecar" }] })).rejects.toMatchObject({
    code: status.INVALID_ARGUMENT,
    message: expect.stringContaining('"sidecar"'),
  })
})

test("a run that is only validated starts nothing", async () => {
  const job = await run.createJob("validated", "exit 0")
  const [operation] = await run.jobs.runJob({ name: job, validateOnly: true })
  expect(operation.done).toBe(true)
  const [executions] = await run.executions.listExecutions({ parent: job })
  expect(executions).toEqual([])
  await expect(
    run.jobs.runJob({ name: job, validateOnly: true, overrides: { taskCount: 20_000 } }),
  ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
})

test("a job that does not exist is not found, and a name that is none is refused", async () => {
  await expect(run.run(`${LOCATION}/jobs/nobody`)).rejects.toMatchObject({ code: status.NOT_FOUND })
  await expect(run.run("jobs/nobody")).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
})
