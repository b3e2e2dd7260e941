import { availableParallelism } from "node:os"
import { setTimeout as wait } from "node:timers/promises"
import { Worker } from "node:worker_threads"

const EXCHANGES = 100_000
const STOP = -1

/**
 * Nanoseconds in which a cache line goes from one core to another and back. Two connections that insert into one table
 * hand InnoDB's latches to and fro, so what they gain over one depends on it: a virtual machine whose cores the host
 * moves apart (80 ns became 400 ns on one, for minutes at a time) takes half as long again for the same statements.
 * Undefined on a single core.
 */
export async function measureCoreDistance(): Promise<number | undefined> {
  if (availableParallelism() < 2) return undefined
  const ball = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const other = new Worker(returnBall, { eval: true, workerData: ball })
  try {
    // The first exchange waits for the thread to start, here without keeping a core from it.
    Atomics.store(ball, 0, 1)
    while (Atomics.load(ball, 0) !== 2) await wait(1)
    const startedAt = performance.now()
    for (let sent = 3; sent < 2 * EXCHANGES + 3; sent += 2) {
      Atomics.store(ball, 0, sent)
      while (Atomics.load(ball, 0) !== sent + 1);
    }
    return Math.round(((performance.now() - startedAt) * 1e6) / EXCHANGES)
  } finally {
    Atomics.store(ball, 0, STOP)
    await other.terminate()
  }
}

/** Answers each odd number with the even one after it. */
const returnBall = `
const ball = require("node:worker_threads").workerData
for (let got = 0; got !== ${STOP}; got = Atomics.load(ball, 0)) if (got % 2 === 1) Atomics.store(ball, 0, got + 1)
`
