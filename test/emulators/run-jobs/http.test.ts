import { JobsClient } from "@google-cloud/run"
import { PassThroughClient } from "google-auth-library"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { LOCATION, type RunJobsFixture, shellJob, startRunJobsFixture } from "./run-jobs-fixture.ts"

type Json = Record<string, unknown>

let run: RunJobsFixture
/** Google's library without gRPC. */
let client: JobsClient
beforeAll(async () => {
  run = await startRunJobsFixture()
  client = new JobsClient({
    fallback: true,
    protocol: "http",
    apiEndpoint: "127.0.0.1",
    port: run.server.port,
    authClient: new PassThroughClient(),
  })
})
afterAll(async () => {
  await client?.close()
  await run?.stop()
})

async function call(method: string, path: string, body?: object): Promise<{ status: number; json: Json }> {
  const answer = await fetch(`http://127.0.0.1:${run.server.port}/v2/${path}`, {
    method,
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return { status: answer.status, json: (await answer.json()) as Json }
}

describe("over HTTP", () => {
  test("the library without gRPC waits for operations", async () => {
    const [creating] = await client.createJob({ parent: LOCATION, jobId: "waited", job: shellJob("exit 0") })
    const [job] = await creating.promise()
    const [running] = await client.runJob({ name: job.name ?? "" })
    const [execution] = await running.promise()
    expect(execution).toMatchObject({ succeededCount: 1, failedCount: 0 })
    const [deleting] = await client.deleteJob({ name: job.name ?? "" })
    await deleting.promise()
    await expect(client.getJob({ name: job.name ?? "" })).rejects.toMatchObject({ code: 5 })
  })

  test("operations are got, listed, waited for and deleted", async () => {
    const job = await run.createJob("operations", "sleep 60")
    const started = await call("POST", `${job}:run`, {})
    const name = String(started.json["name"])
    expect((await call("GET", name)).json).toMatchObject({ name })
    const listed = await call("GET", `${LOCATION}/operations?pageSize=1000`)
    expect((listed.json["operations"] as Json[]).map((operation) => operation["name"])).toContain(name)
    expect((await call("POST", `${name}:wait`, { timeout: "0.01s" })).json).toMatchObject({ name })
    await call("POST", `${(started.json["metadata"] as Json)["name"] as string}:cancel`, {})
    const waited = await call("POST", `${name}:wait`, {})
    expect(waited.json).toMatchObject({ done: true, response: { cancelledCount: 1 } })
    expect((await call("DELETE", name)).status).toBe(200)
    expect((await call("GET", name)).status).toBe(404)
  })

  test.each([
    ["GET", `${LOCATION}/services`],
    ["GET", `${LOCATION}/services/a:getIamPolicy`],
    ["GET", `${LOCATION}/services/a/revisions`],
    ["POST", `${LOCATION}/operations/a:cancel`],
  ])("%s %s is UNIMPLEMENTED", async (method, path) => {
    const { status, json } = await call(method, path, method === "POST" ? {} : undefined)
    expect([status, json["error"]]).toMatchObject([501, { status: "UNIMPLEMENTED" }])
  })
})

describe("the IAM policy of a job", () => {
  test("is kept, returned and guarded by its etag, and grants everything to whoever asks", async () => {
    const resource = await run.createJob("with-policy", "exit 0")
    const bindings = [{ role: "roles/run.invoker", members: ["serviceAccount:a@shop.iam.gserviceaccount.com"] }]
    const [begun] = await run.jobs.getIamPolicy({ resource })
    expect(begun.bindings).toEqual([])
    const [set] = await run.jobs.setIamPolicy({ resource, policy: { ...begun, bindings } })
    expect(set.bindings).toMatchObject(bindings)
    expect((await run.jobs.getIamPolicy({ resource }))[0]).toEqual(set)
    await expect(run.jobs.setIamPolicy({ resource, policy: begun })).rejects.toMatchObject({ code: 10 })
    const permissions = ["run.jobs.run"]
    expect((await run.jobs.testIamPermissions({ resource, permissions }))[0]).toEqual({ permissions })
    await expect(run.jobs.getIamPolicy({ resource: `${LOCATION}/jobs/nothing` })).rejects.toMatchObject({ code: 5 })
  })
})

describe("a job is refused", () => {
  const create = (container: object) => {
    const job = { template: { template: { containers: [{ image: "shell", ...container }] } } }
    return run.jobs.createJob({ parent: LOCATION, jobId: "refused", job })
  }

  test.each([
    [{ cpu: "3" }, "cpu: must be one of 1, 2, 4, 6, 8: 3"],
    [{ cpu: "500m" }, "cpu: must be one of"],
    [{ cpu: "many" }, "cpu: must be one of"],
    [{ memory: "256Mi" }, "memory: must be between 512Mi and 32Gi: 256Mi"],
    [{ memory: "64Gi", cpu: "8" }, "memory: must be between 512Mi and 32Gi"],
    [{ memory: "a lot" }, "memory: must be between"],
    [{ cpu: "1", memory: "8Gi" }, "memory: must be between 0.5Gi and 4Gi with 1 CPU: 8Gi"],
    [{ cpu: "8", memory: "1Gi" }, "memory: must be between 4Gi and 32Gi with 8 CPU"],
    [{ disk: "1Gi" }, 'not a limit of a job: "disk"'],
  ])("with the limits %j", async (limits, message) => {
    await expect(create({ resources: { limits } })).rejects.toMatchObject({
      code: 3,
      message: expect.stringContaining(message),
    })
  })

  test("with an environment variable twice", async () => {
    const env = [
      { name: "A", value: "1" },
      { name: "A", value: "2" },
    ]
    await expect(create({ env })).rejects.toMatchObject({
      code: 3,
      message: expect.stringContaining("the name A is given twice"),
    })
  })

  test.each([
    ["millis", { cpu: "1000m", memory: "512Mi" }],
    ["two", { cpu: "2", memory: "8Gi" }],
    ["decimal", { memory: "1G" }],
    ["none", {}],
  ])("not with the limits %s", async (name, limits) => {
    const job = shellJob("exit 0")
    const container = job.template?.template?.containers?.[0]
    if (container) container.resources = { limits }
    const jobId = `limits-${name}`
    const [operation] = await run.jobs.createJob({ parent: LOCATION, jobId, job })
    expect((await operation.promise())[0].template?.template?.containers?.[0]?.resources?.limits).toEqual(limits)
  })
})
