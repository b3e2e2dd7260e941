/*
 * What the figures are to be at most. Ratios and counts where there are some: those of times are of one run on one
 * machine, and times themselves of two cores.
 */

/** Of publishing to verdict over one INSERT … SELECT of the same day. */
export const statementRatioMax = (purchases: number) => (purchases >= 10_000_000 ? 0.95 : 1.4)

/** Rows of the shop that are read for each purchase of a day with an index of its own. */
export const rowsReadMax = { plan: 0.02, compute: 1.05, "verify source": 1.05 } as const

/** Milliseconds for each of 1,000 nearly empty shards. */
export const msPerShardMax = 4

/** From the start of a task's process. */
export const firstClaimMsMax = 200

/** The work of the longest task over the mean, however unevenly users buy. */
export const longestTaskMax = 1.15

/** Of 50,000 shards: judging and composing together, and between two turns of the event loop. */
export const judgingMsMax = 300
export const blockedMsMax = 100
