import { spawn } from "node:child_process"
import { once } from "node:events"
import { dirname, join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { buildServices } from "../../services/build/build-services.ts"
import { findFreePort } from "../../services/local/free-port.ts"
import { computeDate } from "./compute-date.ts"
import { fillDay } from "./fill-day.ts"
import { forgetRuns, type Room } from "./fixture.ts"
import { addShopTables } from "./spare-database.ts"
import { median } from "./statistics.ts"

export interface StartsFigures {
  /** From the start of a task's process to its first claim, all tasks at once. */
  firstClaimMs: number[]
  /** From the start of a planner's process to its answer to the first request, with a run begun and started. */
  firstAnswerMs: number[]
  medianMs: { firstClaim: number; firstAnswer: number }
}

const DATE = "2026-11-22"
const PURCHASES = 2_000
const POLL_MS = 5

/** How soon processes that have just been started do their first work. */
export async function measureStarts(room: Room, repeat: number): Promise<StartsFigures> {
  await addShopTables(room.databaseUrl)
  await fillDay(room, DATE, PURCHASES, "n * 7")
  const firstClaimMs: number[] = []
  const firstAnswerMs: number[] = []
  for (let round = 0; round <= repeat; round++) {
    await forgetRuns(room)
    const { claimMs } = await computeDate(room, DATE)
    await forgetRuns(room)
    const answerMs = await timeFirstAnswer(room, round)
    if (round === 0) continue
    firstClaimMs.push(...claimMs)
    firstAnswerMs.push(answerMs)
  }
  const medianMs = { firstClaim: median(firstClaimMs), firstAnswer: median(firstAnswerMs) }
  return { firstClaimMs, firstAnswerMs, medianMs }
}

/** A planner of our own beside the cloud's, which gets a request as soon as it listens. */
async function timeFirstAnswer(room: Room, round: number): Promise<number> {
  const port = String(await findFreePort())
  const { planner } = await buildServices()
  const env = { ...room.cloud.env, PORT: port, HOST: "127.0.0.1", LOG_LEVEL: "error" }
  const startedAt = performance.now()
  const child = spawn(process.execPath, [planner], { env, cwd: dirname(planner), stdio: "ignore" })
  try {
    const message = {
      messageId: `bench${round}`,
      publishTime: new Date().toISOString(),
      data: Buffer.from(JSON.stringify({ date: DATE })).toString("base64"),
    }
    const body = JSON.stringify({ message, subscription: "projects/local/subscriptions/bench" })
    const request = { method: "POST", headers: { "content-type": "application/json" }, body }
    for (;;) {
      const response = await fetch(`http://127.0.0.1:${port}${join("/", "run-requests")}`, request).catch(
        () => undefined,
      )
      if (response?.status === 204) break
      if (response || child.exitCode !== null) throw new Error(`the planner answered ${response?.status}`)
      await wait(POLL_MS)
    }
    return performance.now() - startedAt
  } finally {
    await waitUntilIdle(room)
    child.kill("SIGTERM")
    if (child.exitCode === null) await once(child, "exit")
  }
}

/** The run that was begun goes on: nothing of it may be left. */
async function waitUntilIdle(room: Room): Promise<void> {
  for (;;) {
    const [open] = await room.query<{ open: string }>("SELECT COUNT(*) AS open FROM runs WHERE announced_at IS NULL")
    if (Number(open?.open) === 0 && room.cloud.runJobs.tasks().length === 0) return
    await wait(POLL_MS)
  }
}
