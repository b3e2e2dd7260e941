import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { PubSub } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import { type Cloud, startCloud } from "../../services/local/cloud.ts"
import type { DatabaseChoice } from "../../services/local/command-options.ts"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { allRows, type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { createLog, type Log } from "../../shared/telemetry/log.ts"

/** The date that is computed. */
export const date = "2026-11-22"

export interface RoomOptions {
  database?: DatabaseChoice
  tasks: number
  shardPurchases?: number | undefined
  /** Further environment of services and tasks, such as NODE_OPTIONS for a profile. */
  settings?: Record<string, string>
}

/** The local cloud as `npm run demo` has it, but that nothing happens in it by itself: no sweep. */
export interface Room {
  cloud: Cloud
  databaseUrl: string
  db: Database
  pubsub: PubSub
  bucket: Bucket
  log: Log
  /** Rows of one statement; 64-bit numbers as strings. */
  query<Row>(statement: string): Promise<Row[]>
  close(): Promise<void>
}

// InnoDB's default here is 512 MB; ten million purchases with their index are 1.1 GB, and a day should be compared in
// memory, not on the disk of this machine.
const BUFFER_POOL_BYTES = 4 * 1024 ** 3

/** What counts the rows that are read of each table: MariaDB does it where it is asked to, at any time. */
const countingOptions: Record<ServerKind, string[]> = { mariadb: [], mysql: ["--performance-schema=ON"] }

export async function openRoom(options: RoomOptions): Promise<Room> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-bench-"))
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  let cloud: Cloud
  try {
    cloud = await startCloud({
      folder,
      ...options.database,
      parallelism: options.tasks,
      sweepSeconds: 0,
      databaseOptions: (kind) => countingOptions[kind],
      settings: { ...shardSetting(options.shardPurchases), ...options.settings },
    })
  } catch (error) {
    await removeFolder()
    throw error
  }
  const databaseUrl = cloud.env["DATABASE_URL"] ?? ""
  const connection = openDatabase({ url: databaseUrl, connectionsMax: 4 })
  const settings = {
    GOOGLE_CLOUD_PROJECT: "local",
    PUBSUB_EMULATOR_HOST: cloud.env["PUBSUB_EMULATOR_HOST"],
    BUCKET: cloud.env["BUCKET"] ?? "",
    STORAGE_EMULATOR_HOST: cloud.env["STORAGE_EMULATOR_HOST"],
  }
  const pubsub = openPubSub(settings)
  const room = {
    cloud,
    databaseUrl,
    db: connection.db,
    pubsub,
    bucket: openBucket(settings),
    log: await createLog("bench", "silent"),
    query: async <Row>(statement: string) => allRows<Row>(await connection.db.execute(statement)),
    close: async () => {
      await Promise.all([connection.close(), pubsub.close()])
      await cloud.stop()
      await removeFolder()
    },
  }
  if (cloud.databaseServer) await connection.db.execute(`SET GLOBAL innodb_buffer_pool_size = ${BUFFER_POOL_BYTES}`)
  return room
}

/** Forgets every run: each measurement begins with the same, empty, tables. */
export async function forgetRuns(room: Room): Promise<void> {
  for (const table of ["revenue_versions", "published_days", "shards", "dispatches", "runs"]) {
    await room.query(`TRUNCATE TABLE ${table}`)
  }
}

function shardSetting(shardPurchases: number | undefined): Record<string, string> {
  return {
    // Nothing else reads the shop while it is measured.
    AUDIT_DAYS: "0",
    ...(shardPurchases === undefined ? {} : { SHARD_PURCHASES: String(shardPurchases) }),
  }
}
