import { readFile } from "node:fs/promises"
import { setTimeout as wait } from "node:timers/promises"
import { formatJson } from "../../schemas/json.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { listShards, type Shard } from "../../shared/ledger/shards/find-shards.ts"
import { publishRequest } from "../../shared/messages/publish-request.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { Room } from "./fixture.ts"

/** What a run goes through, in its order: each phase begins where the one before ends, but for the last. */
export const phases = [
  "request to run",
  "first shards",
  "dispatch",
  "task start to claim",
  "compute",
  "last report",
  "verification",
  "verdict",
  // From the run's beginning until the plan is whole: other phases go on meanwhile.
  "plan, meanwhile",
] as const
export type Phase = (typeof phases)[number]

export interface ComputedDate {
  run: Run
  shards: Shard[]
  /** From before the publishing to after the verdict's. */
  totalMs: number
  phases: Record<Phase, number>
  /** For each task that claimed, from the start of its process to its first claim. */
  claimMs: number[]
}

const VERDICT_TIMEOUT_MS = 30 * 60_000
const POLL_MS = 10

/** Publishes a date, waits for its verdict and says where the time went, by every part's own clock: they are one. */
export async function computeDate(room: Room, date: string): Promise<ComputedDate> {
  const { cloud } = room
  const marks = new Map<string, number>()
  const mark = (name: string) => void (marks.has(name) || marks.set(name, Date.now()))
  const startedTasks = new Map<number, number>()
  const running = new Set<string>()
  const { promise: verdictSent, resolve: sendVerdict } = Promise.withResolvers<void>()
  const stopWatching = [
    cloud.pubsub.faults.add({
      matches: (call) => call.method === "Publish" && call.resource.endsWith(`/${topics.workItems}`),
      before: () => mark("offered"),
    }),
    cloud.storage.faults.add({
      matches: (call) => call.method === "storage.objects.insert" && call.resource.endsWith("/plan.json"),
      before: () => mark("planned"),
    }),
    cloud.runJobs.onAttempt((event) => {
      const attempt = `${event.execution}/${event.taskIndex}/${event.attempt}`
      if (event.type === "ended") running.delete(attempt)
      else {
        running.add(attempt)
        mark("started")
        startedTasks.set(event.taskIndex, event.startedAt)
      }
    }),
    cloud.pubsub.faults.add({
      matches: (call) => call.method === "Publish" && call.resource.endsWith(`/${topics.runVerdicts}`),
      after: () => {
        mark("sent")
        sendVerdict()
      },
    }),
  ]
  try {
    const publishedAt = Date.now()
    const messageId = await publishRequest(room.pubsub, topics.runRequests, formatJson(RunRequestSchema, { date }))
    const late = new AbortController()
    await Promise.race([verdictSent, wait(VERDICT_TIMEOUT_MS, undefined, { signal: late.signal }).then(tooLate)])
    late.abort()
    const run = await awaitAnnounced(room, `${date}-${messageId}`)
    while (running.size > 0) await wait(POLL_MS)
    const shards = await listShards(room.db, run.runId)
    const at = (name: string) => marks.get(name) ?? Number.NaN
    const begunAt = await readLogTime(cloud.services.planner.logFile, run.runId, "a run is begun")
    const ends: Record<Exclude<Phase, "plan, meanwhile">, number> = {
      "request to run": begunAt,
      "first shards": at("offered"),
      dispatch: at("started"),
      "task start to claim": least(shards.map((shard) => shard.claimedAt?.getTime())),
      compute: most(shards.map((shard) => shard.committedAt?.getTime())),
      "last report": most(shards.map((shard) => shard.reportedAt?.getTime())),
      verification: run.decidedAt?.getTime() ?? Number.NaN,
      verdict: at("sent"),
    }
    return {
      run,
      shards,
      totalMs: at("sent") - publishedAt,
      phases: { ...differences(publishedAt, ends), "plan, meanwhile": at("planned") - begunAt },
      claimMs: claimTimes(shards, startedTasks),
    }
  } finally {
    for (const stop of stopWatching) stop()
  }
}

function tooLate(): never {
  throw new Error(`no verdict within ${VERDICT_TIMEOUT_MS / 60_000} minutes`)
}

/** The verdict is decided and sent; the finalizer's last write is that it was. */
async function awaitAnnounced(room: Room, runId: string): Promise<Run> {
  for (;;) {
    const run = await findRun(room.db, runId)
    if (!run) throw new Error(`the first verdict is not on run ${runId}: the request was rejected`)
    if (run.announcedAt !== null) {
      if (run.state === "complete") return run
      throw new Error(`run ${runId} is ${run.state}: ${run.verdict}`)
    }
    await wait(POLL_MS)
  }
}

async function readLogTime(logFile: string, runId: string, message: string): Promise<number> {
  const lines = (await readFile(logFile, "utf8")).split("\n").toReversed()
  const line = lines.find((line) => line.includes(runId) && line.includes(JSON.stringify(message)))
  return line ? Date.parse((JSON.parse(line) as { time: string }).time) : Number.NaN
}

/** How long each took, of instants in their order. */
function differences<Name extends string>(from: number, ends: Record<Name, number>): Record<Name, number> {
  let before = from
  return Object.fromEntries(
    Object.entries<number>(ends).map(([name, end]) => {
      const ms = end - before
      before = end
      return [name, ms]
    }),
  ) as Record<Name, number>
}

function claimTimes(shards: Shard[], startedTasks: Map<number, number>): number[] {
  return [...startedTasks].flatMap(([task, startedAt]) => {
    const claims = shards.filter((shard) => shard.taskIndex === task).map((shard) => shard.claimedAt?.getTime())
    return claims.length > 0 ? [least(claims) - startedAt] : []
  })
}

// Not by spreading arguments: a run has up to 100,000 shards.
const least = (times: (number | undefined)[]) => times.reduce<number>((a, b) => Math.min(a, b ?? Number.NaN), Infinity)
const most = (times: (number | undefined)[]) => times.reduce<number>((a, b) => Math.max(a, b ?? Number.NaN), -Infinity)
