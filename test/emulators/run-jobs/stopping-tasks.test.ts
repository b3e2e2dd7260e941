import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { status } from "@grpc/grpc-js"
import { afterEach, beforeEach, expect, test } from "vitest"
import { ManualClock } from "../../../services/emulators/clock.ts"
import { isAlive } from "./is-alive.ts"
import { type RunJobsFixture, startRunJobsFixture } from "./run-jobs-fixture.ts"

const SIGKILL = 9
const SIGTERM = 15
// `wait` returns as soon as a signal arrives; `sleep` alone would hold the trap back until it ends.
const EXIT_ON_SIGTERM = "trap 'exit 7' TERM; echo ready; sleep 60 & wait"
const IGNORE_SIGTERM = "trap '' TERM; echo ready; sleep 60 & wait; sleep 60"

let run: RunJobsFixture
let clock: ManualClock

beforeEach(async () => {
  clock = new ManualClock()
  run = await startRunJobsFixture({ clock, killGraceMs: 10_000, slots: 4 })
})
afterEach(() => run.stop())

/** Waits until so many tasks run and have said that they are ready for signals. */
async function ready(count: number) {
  await expect
    .poll(() => run.server.tasks().map((task) => readFileSync(task.logFile, "utf8")))
    .toEqual(Array.from({ length: count }, () => "ready\n"))
  return run.server.tasks()
}

test("an attempt that exceeds its timeout gets SIGTERM, and the next attempt has the whole timeout again", async () => {
  const job = await run.createJob("slow", EXIT_ON_SIGTERM, { maxRetries: 1, timeout: { seconds: 100 } })
  const execution = await run.run(job)
  const [first] = await ready(1)
  clock.advance(99_999)
  expect(run.server.tasks()).toHaveLength(1)
  clock.advance(1)
  await expect.poll(() => run.server.tasks()[0]?.attempt).toBe(1)
  expect(readFileSync(first?.logFile ?? "", "utf8")).toContain("maximum timeout of 100 seconds")
  await ready(1)
  clock.advance(99_999)
  const [still] = await run.executions.getExecution({ name: execution })
  expect(still).toMatchObject({ runningCount: 1, retriedCount: 1 })
  clock.advance(1)
  expect(await run.ended(execution)).toMatchObject({ failedCount: 1, retriedCount: 1 })
  const [task] = await run.listTasks(execution)
  expect(task).toMatchObject({
    retried: 1,
    lastAttemptResult: {
      exitCode: 7,
      status: { code: status.DEADLINE_EXCEEDED, message: "The configured timeout was reached." },
    },
  })
})

test("a timeout of the run counts instead of the job's", async () => {
  const job = await run.createJob("slow", EXIT_ON_SIGTERM, { maxRetries: 0 })
  const execution = await run.run(job, { timeout: { seconds: 5 } })
  await ready(1)
  clock.advance(5000)
  expect(await run.ended(execution)).toMatchObject({ failedCount: 1 })
})

test("a task that ignores SIGTERM is killed after the grace period", async () => {
  const job = await run.createJob("stubborn", IGNORE_SIGTERM, { maxRetries: 0, timeout: { seconds: 100 } })
  const execution = await run.run(job)
  const [task] = await ready(1)
  clock.advance(100_000)
  clock.advance(9999)
  expect(isAlive(task?.pid ?? 0)).toBe(true)
  clock.advance(1)
  await run.ended(execution)
  const [ended] = await run.listTasks(execution)
  expect(ended?.lastAttemptResult).toMatchObject({ termSignal: SIGKILL, exitCode: 0 })
})

test("cancelling stops the running tasks, starts no others, and counts both as cancelled", async () => {
  const script = `test $CLOUD_RUN_TASK_INDEX = 0 && exit 0; ${EXIT_ON_SIGTERM}`
  const job = await run.createJob("cancelled", script, { taskCount: 10, parallelism: 2 })
  const [operation] = await run.jobs.runJob({ name: job })
  const execution = (operation.metadata as { name: string }).name
  await ready(2)
  const [cancellation] = await run.executions.cancelExecution({ name: execution })
  await Promise.all([cancellation.promise(), operation.promise()]) // neither ends with an error
  const [cancelled] = await run.executions.getExecution({ name: execution })
  expect(cancelled).toMatchObject({
    succeededCount: 1,
    cancelledCount: 9,
    failedCount: 0,
    runningCount: 0,
    retriedCount: 0,
  })
  expect(cancelled.conditions?.[0]).toMatchObject({
    type: "Completed",
    state: "CONDITION_FAILED",
    executionReason: "CANCELLED",
  })
  await expect(run.executions.cancelExecution({ name: execution })).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
  })
  const [stored] = await run.jobs.getJob({ name: job })
  expect(stored.latestCreatedExecution?.completionStatus).toBe("EXECUTION_CANCELLED")
})

test("while a cancelled task uses its grace period the execution is cancelling", async () => {
  const execution = await run.run(await run.createJob("cancelling", IGNORE_SIGTERM))
  await ready(1)
  await run.executions.cancelExecution({ name: execution })
  const [cancelling] = await run.executions.getExecution({ name: execution })
  expect(cancelling.conditions?.[0]).toMatchObject({ state: "CONDITION_RECONCILING", executionReason: "CANCELLING" })
  clock.advance(10_000)
  expect(await run.ended(execution)).toMatchObject({ cancelledCount: 1 })
})

test("a task killed from outside is tried again, and only it", async () => {
  const script = `test $CLOUD_RUN_TASK_ATTEMPT = 1 && exit 0; ${EXIT_ON_SIGTERM}`
  const job = await run.createJob("killed", script, { taskCount: 2, parallelism: 2 })
  const execution = await run.run(job)
  await ready(2)
  expect(run.server.tasks()).toMatchObject([
    { execution, taskIndex: 0, attempt: 0, startedAt: clock.now() },
    { execution, taskIndex: 1, attempt: 0, startedAt: clock.now() },
  ])
  const ended = new Promise((resolve) => {
    run.server.onAttempt(
      (event) => event.type === "ended" && event.attempt === 0 && event.taskIndex === 1 && resolve(event.result),
    )
  })
  expect(run.server.killTask(execution, 1, "SIGKILL")).toBe(true)
  expect(await ended).toMatchObject({ termSignal: SIGKILL, exitCode: undefined })
  await expect.poll(async () => (await run.listTasks(execution))[1]?.completionTime).toBeTruthy()

  const shortName = execution.slice(execution.lastIndexOf("/") + 1)
  expect(run.server.killTask(shortName, 1, "SIGKILL")).toBe(false)
  expect(run.server.killTask(shortName, 0, "SIGTERM")).toBe(true)
  expect(await run.ended(execution)).toMatchObject({ succeededCount: 2, retriedCount: 2 })
})

test("a task that a signal has ended reports the signal", async () => {
  const job = await run.createJob("signalled", "kill -TERM $$", { maxRetries: 0 })
  const execution = await run.run(job)
  await run.ended(execution)
  const [task] = await run.listTasks(execution)
  expect(task?.lastAttemptResult).toMatchObject({ termSignal: SIGTERM, exitCode: 0, status: { code: status.ABORTED } })
})

test("what a task leaves behind in the background ends with it", async () => {
  const execution = await run.run(await run.createJob("littering", "sleep 60 & echo $!"))
  await run.ended(execution)
  const [task] = await run.listTasks(execution)
  const pid = Number(readFileSync(fileURLToPath(task?.logUri ?? ""), "utf8"))
  expect(pid).toBeGreaterThan(0)
  await expect.poll(() => isAlive(pid)).toBe(false)
})

test("stopping the server leaves no process, however stubborn", async () => {
  await run.run(await run.createJob("left", IGNORE_SIGTERM, { taskCount: 4 }))
  const pids = (await ready(4)).map((task) => task.pid)
  await run.server.stop()
  expect(pids.map(isAlive)).toEqual([false, false, false, false])
})
