import type { protos } from "@google-cloud/pubsub"

export function timestampOf(ms: number): protos.google.protobuf.ITimestamp {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 }
}

export function durationOf(seconds: number): protos.google.protobuf.IDuration {
  return { seconds, nanos: 0 }
}

/** Milliseconds of a duration, which the loader gives as a decimal string of seconds and a number of nanos. */
export function millisecondsOf(duration: protos.google.protobuf.IDuration): number {
  return Number(duration.seconds ?? 0) * 1000 + (duration.nanos ?? 0) / 1_000_000
}
