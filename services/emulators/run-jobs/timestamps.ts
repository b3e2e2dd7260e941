import type { protos } from "@google-cloud/run"

/** A protobuf Timestamp of milliseconds since the epoch. */
export function timestampOf(ms: number): protos.google.protobuf.ITimestamp
export function timestampOf(ms: number | undefined): protos.google.protobuf.ITimestamp | null
export function timestampOf(ms: number | undefined): protos.google.protobuf.ITimestamp | null {
  if (ms === undefined) return null
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 }
}

/** A protobuf Duration as milliseconds. */
export function durationMs(duration: protos.google.protobuf.IDuration): number {
  return Number(duration.seconds ?? 0) * 1000 + (duration.nanos ?? 0) / 1e6
}
