import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { promisify } from "node:util"
import type { protos } from "@google-cloud/run"
import { credentials, makeGenericClientConstructor, type ServiceDefinition, status } from "@grpc/grpc-js"
import { fromJSON } from "@grpc/proto-loader"
import { afterAll, beforeAll, expect, test } from "vitest"
import { ManualClock } from "../../../services/emulators/clock.ts"
import { LOCATION, type RunJobsFixture, startRunJobsFixture } from "./run-jobs-fixture.ts"

type Operation = protos.google.longrunning.IOperation
type Unary<Request> = (request: Request) => Promise<Operation>

const clock = new ManualClock()
let run: RunJobsFixture
let waitOperation: Unary<protos.google.longrunning.IWaitOperationRequest>
let closeClient: () => void

beforeAll(async () => {
  run = await startRunJobsFixture({ clock })
  // The official client has no method for WaitOperation, gcloud and Terraform use it.
  const descriptors = readFileSync(
    createRequire(import.meta.url).resolve("@google-cloud/run/build/protos/protos.json"),
    "utf8",
  )
  const definition = fromJSON(JSON.parse(descriptors))["google.longrunning.Operations"] as ServiceDefinition
  const Client = makeGenericClientConstructor(definition, "Operations")
  const client = new Client(`127.0.0.1:${run.server.port}`, credentials.createInsecure())
  waitOperation = promisify(client["WaitOperation"] as never).bind(client) as typeof waitOperation
  closeClient = () => client.close()
})
afterAll(async () => {
  closeClient()
  await run.stop()
})

async function startOperation(jobId: string): Promise<{ name: string; execution: string }> {
  const job = await run.createJob(jobId, "sleep 60")
  const [operation] = await run.jobs.runJob({ name: job })
  return { name: operation.name ?? "", execution: (operation.metadata as { name: string }).name }
}

test("an operation is not done while its execution runs, and holds the execution as it is now", async () => {
  const { name, execution } = await startOperation("looked-at")
  await expect.poll(() => run.server.tasks().length).toBe(1)
  const running = await run.jobs.checkRunJobProgress(name)
  expect(running.done).toBe(false)
  expect(running.metadata).toMatchObject({ name: execution, runningCount: 1 })
  await run.executions.cancelExecution({ name: execution })
  await run.ended(execution)
  const ended = await run.jobs.checkRunJobProgress(name)
  expect(ended.done).toBe(true)
  expect(ended.result).toMatchObject({ name: execution, runningCount: 0, cancelledCount: 1 })
})

test("waiting ends when the operation does, or at the timeout with what there is", async () => {
  const { name, execution } = await startOperation("awaited")
  const calls = waitsThatArrive()
  const short = waitOperation({ name, timeout: { seconds: 5 } })
  const long = waitOperation({ name, timeout: { seconds: 50 } })
  await calls(2)
  clock.advance(5000)
  expect(await short).toMatchObject({ done: false })
  await run.executions.cancelExecution({ name: execution })
  expect(await long).toMatchObject({ done: true })
  expect(await waitOperation({ name })).toMatchObject({ done: true })
})

test("operations are listed by location", async () => {
  const { name, execution } = await startOperation("listed")
  // The client's types say that this is one answer; it is a list of all pages, as everywhere in these clients.
  const [operations] = (await run.jobs.operationsClient.listOperations({ name: LOCATION } as never)) as unknown as [
    Operation[],
  ]
  expect(operations.map((operation) => operation.name)).toContain(name)
  const [elsewhere] = (await run.jobs.operationsClient.listOperations({
    name: "projects/daybook/locations/nowhere",
  } as never)) as unknown as [Operation[]]
  expect(elsewhere).toEqual([])
  await run.executions.cancelExecution({ name: execution })
})

test("an operation that does not exist is not found", async () => {
  await expect(run.jobs.checkRunJobProgress(`${LOCATION}/operations/none`)).rejects.toMatchObject({
    code: status.NOT_FOUND,
  })
})

/** Returns a function that waits until the server has received so many WaitOperation calls. */
function waitsThatArrive(): (count: number) => Promise<void> {
  let arrived = 0
  run.server.faults.add({
    matches: (call) => call.method === "WaitOperation",
    before: () => void arrived++,
  })
  return async (count) => {
    await expect.poll(() => arrived).toBe(count)
  }
}
