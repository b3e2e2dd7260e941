import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { protos } from "@google-cloud/run"
import { status } from "@grpc/grpc-js"
import { asyncProperty, assert as checkProperty, integer, nat } from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { failAfter, failBefore } from "../../../services/emulators/faults.ts"
import { LOCATION, type RunJobsFixture, startRunJobsFixture } from "./run-jobs-fixture.ts"

type Execution = protos.google.cloud.run.v2.IExecution

let run: RunJobsFixture

beforeAll(async () => {
  run = await startRunJobsFixture({ slots: 4 })
})
afterAll(() => run.stop())

function completedCondition(execution: Execution) {
  return execution.conditions?.find((condition) => condition.type === "Completed")
}

describe("an execution", () => {
  test("succeeds when all its tasks do, and its operation ends with it", async () => {
    const job = await run.createJob("succeeding", "exit 0", { taskCount: 5 })
    const [operation] = await run.jobs.runJob({ name: job })
    const metadata = operation.metadata as Execution
    expect(metadata).toMatchObject({ taskCount: 5, parallelism: 4, job: "succeeding", reconciling: true })
    expect(metadata.name).toMatch(new RegExp(`^${job}/executions/succeeding-[a-z0-9]{5}$`))
    const [response] = await operation.promise()
    expect(response).toMatchObject({ name: metadata.name, succeededCount: 5, reconciling: false })

    const [execution] = await run.executions.getExecution({ name: metadata.name ?? "" })
    expect(execution).toMatchObject({
      generation: "1",
      observedGeneration: "1",
      runningCount: 0,
      succeededCount: 5,
      failedCount: 0,
      cancelledCount: 0,
      retriedCount: 0,
    })
    expect(execution.conditions?.map(({ type, state }) => [type, state])).toEqual([
      ["Completed", "CONDITION_SUCCEEDED"],
      ["ResourcesAvailable", "CONDITION_SUCCEEDED"],
      ["Started", "CONDITION_SUCCEEDED"],
    ])
    for (const time of [execution.createTime, execution.startTime, execution.completionTime, execution.updateTime]) {
      expect(Number(time?.seconds)).toBeGreaterThan(Date.now() / 1000 - 60)
    }
    const [stored] = await run.jobs.getJob({ name: job })
    expect(stored).toMatchObject({
      executionCount: 1,
      latestCreatedExecution: {
        name: (execution.name ?? "").slice(`${job}/executions/`.length),
        completionStatus: "EXECUTION_SUCCEEDED",
      },
    })
  })

  test("is running, and says so, until the last task has ended", async () => {
    const job = await run.createJob("running", "sleep 60", { taskCount: 6 })
    const name = await run.run(job)
    await expect.poll(() => run.server.tasks().length).toBe(4)
    const [execution] = await run.executions.getExecution({ name })
    expect(execution).toMatchObject({ runningCount: 4, succeededCount: 0, reconciling: true, completionTime: null })
    expect(completedCondition(execution)).toMatchObject({ state: "CONDITION_RECONCILING" })
    const tasks = await run.listTasks(name)
    expect(tasks.map((task) => task.conditions?.[0]?.state)).toEqual([
      ...Array.from({ length: 4 }, () => "CONDITION_RECONCILING"),
      ...Array.from({ length: 2 }, () => "CONDITION_PENDING"),
    ])
    await expect(run.executions.deleteExecution({ name })).rejects.toMatchObject({ code: status.FAILED_PRECONDITION })
    await run.executions.cancelExecution({ name })
    await run.ended(name)
  })

  test("tries every task up to its retries and fails if one has failed for good, though the others succeed", async () => {
    // Task 1 succeeds at its third attempt, task 2 never.
    const script =
      "case $CLOUD_RUN_TASK_INDEX-$CLOUD_RUN_TASK_ATTEMPT in 1-[01]|2-*) exit $((10 + CLOUD_RUN_TASK_ATTEMPT));; esac"
    const job = await run.createJob("retried", script, { taskCount: 4, parallelism: 1, maxRetries: 2 })
    const attempts: string[] = []
    const stopListening = run.server.onAttempt((event) => {
      if (event.type === "started") attempts.push(`${event.taskIndex}-${event.attempt}`)
    })
    const execution = await run.ended(await run.run(job))
    stopListening()
    expect(attempts).toEqual(["0-0", "1-0", "1-1", "1-2", "2-0", "2-1", "2-2", "3-0"])
    expect(execution).toMatchObject({ succeededCount: 3, failedCount: 1, retriedCount: 2, cancelledCount: 0 })
    expect(completedCondition(execution)).toMatchObject({
      state: "CONDITION_FAILED",
      executionReason: "NON_ZERO_EXIT_CODE",
      message: expect.stringMatching(/^Task retried-\w{5}-task2 failed with message: /),
    })
    const tasks = await run.listTasks(execution.name ?? "")
    expect(tasks.map((task) => [task.index, task.retried, task.lastAttemptResult?.exitCode])).toEqual([
      [0, 0, 0],
      [1, 2, 0],
      [2, 2, 12],
      [3, 0, 0],
    ])
    expect(tasks[2]?.lastAttemptResult).toMatchObject({ status: { code: status.ABORTED }, termSignal: 0 })
    expect(tasks[1]?.lastAttemptResult?.status?.code).toBe(status.OK)
  })

  test("writes the output of each attempt to its own file, which the task points at", async () => {
    const script =
      "echo out $CLOUD_RUN_TASK_ATTEMPT; echo err $CLOUD_RUN_TASK_ATTEMPT >&2; exit $((1 - CLOUD_RUN_TASK_ATTEMPT))"
    const execution = await run.ended(await run.run(await run.createJob("logging", script, { maxRetries: 1 })))
    const [task] = await run.listTasks(execution.name ?? "")
    const logFile = fileURLToPath(task?.logUri ?? "")
    expect(logFile).toBe(`${fileURLToPath(execution.logUri ?? "")}/0-1.log`)
    expect(readFileSync(logFile, "utf8")).toBe("out 1\nerr 1\n")
    expect(readFileSync(logFile.replace("0-1.log", "0-0.log"), "utf8")).toBe("out 0\nerr 0\n")
  })

  test("whose program does not exist fails with a log that says so, and the server goes on", async () => {
    const job = {
      template: { template: { maxRetries: 0, containers: [{ image: "shell", command: ["/no/such/program"] }] } },
    }
    const [operation] = await run.jobs.createJob({ parent: LOCATION, jobId: "no-program", job })
    const [{ name }] = await operation.promise()
    const execution = await run.ended(await run.run(name ?? ""))
    expect(execution).toMatchObject({ failedCount: 1, runningCount: 0 })
    const [task] = await run.listTasks(execution.name ?? "")
    expect(task?.lastAttemptResult?.status?.code).toBe(status.FAILED_PRECONDITION)
    expect(readFileSync(fileURLToPath(task?.logUri ?? ""), "utf8")).toContain("/no/such/program")
  })

  test("calls are answered while many short tasks start and end", async () => {
    const execution = await run.run(await run.createJob("short", "exit 0", { taskCount: 500, parallelism: 100 }))
    const [early] = await run.executions.getExecution({ name: execution })
    expect(early.succeededCount).toBeLessThan(500)
    expect((await run.ended(execution)).succeededCount).toBe(500)
  })

  test("never runs more tasks at once than its parallelism, and starts them in order", async () => {
    await checkProperty(
      asyncProperty(integer({ min: 1, max: 8 }), nat({ max: 5 }), async (taskCount, wanted) => {
        const parallelism = Math.min(wanted, taskCount)
        const job = `${LOCATION}/jobs/in-parallel`
        const settings = { taskCount, parallelism, template: { containers: [{ image: "shell", args: ["sleep 0.1"] }] } }
        await run.jobs.updateJob({ job: { name: job, template: settings }, allowMissing: true })
        const started: number[] = []
        let now = 0
        let most = 0
        const stopListening = run.server.onAttempt((event) => {
          if (event.type === "started") started.push(event.taskIndex)
          now += event.type === "started" ? 1 : -1
          most = Math.max(most, now)
        })
        const execution = await run.ended(await run.run(job))
        stopListening()
        expect(execution.succeededCount).toBe(taskCount)
        expect(started).toEqual(Array.from({ length: taskCount }, (_, index) => index))
        expect(most).toBeLessThanOrEqual(parallelism || 4)
        expect(most).toBe(Math.min(parallelism || 4, taskCount))
      }),
      { numRuns: 8 },
    )
  })

  test("is deleted once it has ended", async () => {
    const execution = await run.ended(await run.run(await run.createJob("deletable", "exit 0")))
    const name = execution.name ?? ""
    const [operation] = await run.executions.deleteExecution({ name })
    const [deleted] = await operation.promise()
    expect(deleted.deleteTime).not.toBeNull()
    await expect(run.executions.getExecution({ name })).rejects.toMatchObject({ code: status.NOT_FOUND })
    await expect(run.executions.cancelExecution({ name })).rejects.toMatchObject({ code: status.NOT_FOUND })
  })
})

describe("lists", () => {
  test("of executions are newest first and come in pages, for one job or all", async () => {
    const job = await run.createJob("much-run", "exit 0")
    const names: string[] = []
    for (let at = 0; at < 5; at++) names.unshift((await run.ended(await run.run(job))).name ?? "")
    const pages: string[][] = []
    let pageToken = ""
    do {
      const [found, , page] = await run.executions.listExecutions(
        { parent: job, pageSize: 2, pageToken },
        { autoPaginate: false },
      )
      pages.push(found.map((execution) => execution.name ?? ""))
      pageToken = page?.nextPageToken ?? ""
    } while (pageToken)
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1])
    expect(pages.flat()).toEqual(names)
    const [everywhere] = await run.executions.listExecutions({ parent: `${LOCATION}/jobs/-` })
    expect(everywhere.map((execution) => execution.name)).toEqual(expect.arrayContaining(names))
  })

  test("of tasks come in pages and are complete, and each task can be had by its name", async () => {
    const job = await run.createJob("many-tasks", "exit 0", { taskCount: 250 })
    const execution = (await run.ended(await run.run(job))).name ?? ""
    const [first, , page] = await run.tasks.listTasks({ parent: execution }, { autoPaginate: false })
    expect(first).toHaveLength(100)
    expect(page?.nextPageToken).not.toBe("")
    const all = await run.listTasks(execution)
    expect(all.map((task) => task.index)).toEqual(Array.from({ length: 250 }, (_, index) => index))
    const name = all[42]?.name ?? ""
    expect(name).toBe(`${execution}/tasks/${execution.slice(`${job}/executions/`.length)}-task42`)
    const [task] = await run.tasks.getTask({ name })
    expect(task).toEqual(all[42])
    await expect(run.tasks.getTask({ name: name.replace(/42$/, "250") })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    })
    const [ofAllExecutions] = await run.tasks.listTasks({ parent: `${job}/executions/-` })
    expect(ofAllExecutions).toHaveLength(250)
  })
})

describe("faults", () => {
  test("a RunJob that fails after the server has done it leaves an execution behind", async () => {
    const job = await run.createJob("answer-lost", "exit 0")
    run.server.faults.add(failAfter({ method: "RunJob", resource: job }, "UNAVAILABLE"))
    await expect(run.run(job)).rejects.toMatchObject({ code: status.UNAVAILABLE })
    const [executions] = await run.executions.listExecutions({ parent: job })
    expect(executions).toHaveLength(1)
    await expect(run.ended(executions[0]?.name ?? "")).resolves.toMatchObject({ succeededCount: 1 })
  })

  test("a RunJob that fails before leaves none", async () => {
    const job = await run.createJob("never-asked", "exit 0")
    run.server.faults.add(failBefore({ method: "RunJob", resource: job }, "INTERNAL"))
    await expect(run.run(job)).rejects.toMatchObject({ code: status.INTERNAL })
    const [executions] = await run.executions.listExecutions({ parent: job })
    expect(executions).toEqual([])
  })
})
