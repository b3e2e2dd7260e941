import { setTimeout as sleep } from "node:timers/promises"
import { ServicesClient } from "@google-cloud/run"
import { credentials, status } from "@grpc/grpc-js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { LOCATION, type RunJobsFixture, shellJob, startRunJobsFixture } from "./run-jobs-fixture.ts"

let run: RunJobsFixture

beforeAll(async () => {
  run = await startRunJobsFixture()
})
afterAll(() => run.stop())

describe("creating a job", () => {
  test("returns an operation that is done and holds the job with its defaults", async () => {
    const job = shellJob("exit 0")
    const container = { ...job.template?.template?.containers?.[0], resources: { limits: { cpu: "2", memory: "1Gi" } } }
    const [operation] = await run.jobs.createJob({
      parent: LOCATION,
      jobId: "defaults",
      job: {
        labels: { team: "revenue" },
        annotations: { note: "kept" },
        template: { template: { containers: [container], serviceAccount: "worker@daybook.iam.gserviceaccount.com" } },
      },
    })
    expect(operation.done).toBe(true)
    const [created] = await operation.promise()
    expect(created.name).toBe(`${LOCATION}/jobs/defaults`)

    const [stored] = await run.jobs.getJob({ name: created.name ?? "" })
    expect(stored).toMatchObject({
      generation: "1",
      observedGeneration: "1",
      reconciling: false,
      labels: { team: "revenue" },
      annotations: { note: "kept" },
      executionCount: 0,
      terminalCondition: { type: "Ready", state: "CONDITION_SUCCEEDED" },
      template: {
        taskCount: 1,
        parallelism: 0,
        template: {
          maxRetries: 3,
          timeout: { seconds: "600" },
          serviceAccount: "worker@daybook.iam.gserviceaccount.com",
          containers: [{ resources: { limits: { cpu: "2", memory: "1Gi" } } }],
        },
      },
    })
    expect(stored.uid).toMatch(/^[0-9a-f-]{36}$/)
  })

  test("with a name that exists is refused", async () => {
    await run.createJob("twice", "exit 0")
    await expect(run.createJob("twice", "exit 0")).rejects.toMatchObject({ code: status.ALREADY_EXISTS })
  })

  test("with validateOnly creates nothing", async () => {
    const [operation] = await run.jobs.createJob({
      parent: LOCATION,
      jobId: "only-looked-at",
      job: shellJob("exit 0"),
      validateOnly: true,
    })
    const [job] = await operation.promise()
    expect(job.template?.taskCount).toBe(1)
    await expect(run.jobs.getJob({ name: job.name ?? "" })).rejects.toMatchObject({ code: status.NOT_FOUND })
  })

  test.each(["", "Upper", "1-digit-first", "ends-with-dash-", "under_score", "a".repeat(64)])(
    "refuses the name %j",
    async (jobId) => {
      await expect(run.createJob(jobId, "exit 0")).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    },
  )

  test.each([
    ["more than 10,000 tasks", { taskCount: 10_001 }, /task_count/],
    ["more parallelism than tasks", { taskCount: 2, parallelism: 3 }, /parallelism/],
    ["more than 10 retries", { maxRetries: 11 }, /max_retries/],
    ["a timeout over 168 hours", { timeout: { seconds: 168 * 3600 + 1 } }, /timeout/],
    ["a timeout of nothing", { timeout: { seconds: 0 } }, /timeout/],
    ["a variable that Cloud Run sets", { env: [{ name: "CLOUD_RUN_TASK_INDEX", value: "7" }] }, /reserved/],
  ])("refuses %s", async (_, settings, message) => {
    await expect(run.createJob("refused", "exit 0", settings)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.stringMatching(message),
    })
  })

  test("accepts the largest job", async () => {
    const settings = { taskCount: 10_000, parallelism: 10_000, maxRetries: 10, timeout: { seconds: 168 * 3600 } }
    const name = await run.createJob("largest", "exit 0", settings)
    const [job] = await run.jobs.getJob({ name })
    expect(job.template).toMatchObject({
      taskCount: 10_000,
      template: { maxRetries: 10, timeout: { seconds: "604800" } },
    })
  })

  test("keeps maxRetries 0 apart from the default", async () => {
    const name = await run.createJob("no-retries", "exit 0", { maxRetries: 0 })
    const [job] = await run.jobs.getJob({ name })
    expect(job.template?.template?.maxRetries).toBe(0)
  })

  test("refuses labels that Google refuses", async () => {
    for (const labels of [{ Team: "revenue" }, { "1st": "revenue" }, { team: "Revenue" }, { team: "r".repeat(64) }]) {
      const job = { ...shellJob("exit 0"), labels: labels as Record<string, string> }
      await expect(run.jobs.createJob({ parent: LOCATION, jobId: "labels", job })).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
      })
    }
  })

  test("names the images there are if the image is unknown", async () => {
    const job = { template: { template: { containers: [{ image: "gcr.io/daybook/worker" }] } } }
    await expect(run.jobs.createJob({ parent: LOCATION, jobId: "unknown-image", job })).rejects.toMatchObject({
      code: status.NOT_FOUND,
      message: expect.stringMatching(/'gcr.io\/daybook\/worker' not found.*shell/),
    })
  })

  test("with a second container answers UNIMPLEMENTED", async () => {
    const containers = [{ image: "shell" }, { image: "shell" }]
    await expect(
      run.jobs.createJob({ parent: LOCATION, jobId: "sidecar", job: { template: { template: { containers } } } }),
    ).rejects.toMatchObject({ code: status.UNIMPLEMENTED })
  })
})

describe("an existing job", () => {
  test("is updated as a whole, to a next generation", async () => {
    const name = await run.createJob("updated", "exit 0", { taskCount: 4 })
    const [before] = await run.jobs.getJob({ name })
    const [operation] = await run.jobs.updateJob({ job: { ...shellJob("exit 0", { maxRetries: 1 }), name } })
    await operation.promise()
    const [after] = await run.jobs.getJob({ name })
    expect(after).toMatchObject({
      uid: before.uid,
      generation: "2",
      template: { taskCount: 1, template: { maxRetries: 1 } },
    })

    const stale = { ...shellJob("exit 0"), name, etag: before.etag ?? "" }
    await expect(run.jobs.updateJob({ job: stale })).rejects.toMatchObject({ code: status.ABORTED })
    await expect(run.jobs.updateJob({ job: { ...stale, etag: after.etag ?? "" } })).resolves.toBeDefined()
  })

  test("with validateOnly is not updated", async () => {
    const name = await run.createJob("not-updated", "exit 0")
    await run.jobs.updateJob({ job: { ...shellJob("exit 0", { taskCount: 9 }), name }, validateOnly: true })
    const [job] = await run.jobs.getJob({ name })
    expect(job).toMatchObject({ generation: "1", template: { taskCount: 1 } })
  })

  test("is created by an update that allows it to be missing, and only then", async () => {
    const job = { ...shellJob("exit 0"), name: `${LOCATION}/jobs/upserted` }
    await expect(run.jobs.updateJob({ job })).rejects.toMatchObject({ code: status.NOT_FOUND })
    const [operation] = await run.jobs.updateJob({ job, allowMissing: true })
    const [created] = await operation.promise()
    expect(created.generation?.toString()).toBe("1")
  })

  test("is deleted with its executions, and running tasks are stopped", async () => {
    const name = await run.createJob("deleted", "sleep 60")
    const execution = await run.run(name)
    await expect.poll(() => run.server.tasks().length).toBe(1)
    const [operation] = await run.jobs.deleteJob({ name })
    const [deleted] = await operation.promise()
    expect(deleted.deleteTime).not.toBeNull()
    expect(run.server.tasks()).toEqual([])
    await expect(run.jobs.getJob({ name })).rejects.toMatchObject({ code: status.NOT_FOUND })
    await expect(run.executions.getExecution({ name: execution })).rejects.toMatchObject({ code: status.NOT_FOUND })
  })

  test("is listed by location, the newest first, in pages", async () => {
    const parent = "projects/daybook/locations/asia-east1"
    const ids = Array.from({ length: 5 }, (_, at) => `listed-${at}`)
    for (const jobId of ids.toReversed()) {
      await run.jobs.createJob({ parent, jobId, job: shellJob("exit 0") })
      await sleep(2)
    }
    const pages: string[][] = []
    let pageToken = ""
    do {
      const [jobs, , page] = await run.jobs.listJobs({ parent, pageSize: 2, pageToken }, { autoPaginate: false })
      pages.push(jobs.map((job) => (job.name ?? "").replace(`${parent}/jobs/`, "")))
      pageToken = page?.nextPageToken ?? ""
    } while (pageToken)
    expect(pages).toEqual([["listed-0", "listed-1"], ["listed-2", "listed-3"], ["listed-4"]])
    await expect(run.jobs.listJobs({ parent, pageToken: "nonsense" }, { autoPaginate: false })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    })
  })
})

test("services are not offered, and answer UNIMPLEMENTED", async () => {
  const services = new ServicesClient({
    apiEndpoint: "127.0.0.1",
    port: run.server.port,
    sslCreds: credentials.createInsecure(),
    clientOptions: { universe_domain: "googleapis.com" },
  })
  await expect(services.getService({ name: `${LOCATION}/services/a` })).rejects.toMatchObject({
    code: status.UNIMPLEMENTED,
  })
  await services.close()
})
