/** What the protocol must not do without; the tests take them away one at a time. */
export interface Guards {
  /** A shard is claimed only if it is offered, or an earlier attempt of the same task has it. */
  claimExcludes: boolean
  /** A claim raises the shard's epoch. */
  claimRaisesEpoch: boolean
  /** The next attempt of a task takes up what the last one claimed. */
  attemptTakesUp: boolean
  /** A commit under an epoch that is not the newest writes nothing. */
  commitIsFenced: boolean
  /** A commit that is repeated, its answer being lost, finds its work done. */
  commitIsOnce: boolean
  /** A manifest is not written over a newer one. */
  manifestIsNewer: boolean
  /** A report counts only under the epoch and dispatch that it is of. */
  reportIsCurrent: boolean
  /** A report that comes again does not count again. */
  reportIsOnce: boolean
  /** Closing a dispatch takes every unfinished shard from its task. */
  closingFences: boolean
  /** A verdict is decided only on the dispatch that it judged, and if nobody has. */
  verdictIsCompared: boolean
  /** A complete verdict and its publication are one transaction. */
  publishedAtOnce: boolean
  /** A rerun waits until the verdict before it is announced. */
  rerunAwaitsVerdict: boolean
}

/** How far histories are tried. */
export interface Bounds {
  shards: number
  /** Of each dispatch; of one execution or of several is the same: nobody takes up another task's claims. */
  tasks: number
  /** The last attempt of a task does not die. */
  attempts: number
  dispatches: number
  finalizers: number
}

export interface Process {
  dispatch: number
  task: number
  attempt: number
}

export interface Shard {
  dispatch: number
  state: "offered" | "claimed" | "done" | "missing"
  epoch: number
  owner: Process | undefined
  reported: boolean
  /** Who wrote the rows that are there, under which epoch. */
  rows: { epoch: number; owner: Process } | undefined
  /** The epoch of the manifest in the bucket; 0 without one. */
  manifest: number
  /** By dispatch: how many commits landed. */
  landed: number[]
}

/** What a task has in hand. */
export interface Work {
  by: Process
  shard: number
  epoch: number
  step: "claimed" | "committed" | "manifested"
}

/** On its way for ever: it may come once more at any time. */
export interface Report {
  dispatch: number
  shard: number
  epoch: number
}

export interface State {
  run: "running" | "verifying" | "complete" | "incomplete"
  dispatch: number
  announced: boolean
  published: boolean
  shards: Shard[]
  processes: (Process & { alive: boolean })[]
  work: Work[]
  reports: Report[]
  /** What finalizers have judged and not yet decided. */
  judged: { dispatch: number; complete: boolean }[]
  /** By dispatch. */
  offered: number[]
  reported: number[]
  decided: { dispatch: number; judgedOn: number }[]
  sent: number[]
}

export function firstState({ shards, tasks }: Bounds): State {
  const shard: Shard = {
    dispatch: 0,
    state: "offered",
    epoch: 0,
    owner: undefined,
    reported: false,
    rows: undefined,
    manifest: 0,
    landed: [0],
  }
  return {
    run: "running",
    dispatch: 0,
    announced: false,
    published: false,
    shards: Array.from({ length: shards }, () => shard),
    processes: startTasks(0, tasks),
    work: [],
    reports: [],
    judged: [],
    offered: [shards],
    reported: [0],
    decided: [],
    sent: [],
  }
}

export const startTasks = (dispatch: number, tasks: number) =>
  Array.from({ length: tasks }, (_, task) => ({ dispatch, task, attempt: 0, alive: true }))

/** What a verdict finds: done is not enough, the manifest must be that of the commit and of its rows. */
export function isWanting({ state, epoch, manifest, rows }: Shard): boolean {
  return state !== "done" || manifest !== epoch || rows?.epoch !== epoch
}
