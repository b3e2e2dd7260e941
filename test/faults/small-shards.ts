import { type FaultCloud, type FaultCloudOptions, startFaultCloud } from "./fault-cloud.ts"
import { fillDate } from "./shop-days.ts"
import { date } from "./two-days.ts"

const USERS = 60

/** A cloud with one date of shards so small that a task computes several in one transaction. */
export async function startSmallShards(options: FaultCloudOptions = {}): Promise<FaultCloud> {
  const cloud = await startFaultCloud({ shardPurchases: 3, ...options })
  await fillDate(cloud.connection, date, USERS)
  await cloud.start(date)
  return cloud
}
