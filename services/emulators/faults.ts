/** One call as it reached a server of the local cloud. */
export interface Call {
  server: "pubsub" | "storage" | "run" | "database"
  /** The API's own name of the method: `Publish`, `RunJob`, `storage.objects.insert`; a push delivery is `push`. */
  method: string
  /** What it is about: a topic, subscription, job or execution name, or `bucket/object`. */
  resource: string
  request: unknown
  /** The port that the caller's connection comes from, by which its process can be found; a push has none. */
  clientPort?: number | undefined
}

/** What a fault may do to a call. It throws an `InjectedError` for the caller to see, or waits, or just looks. */
export interface Fault {
  matches(call: Call): boolean
  /** Before the server does anything. */
  before?(call: Call): Promise<void> | void
  /** After the server has done it, or refused to, before the answer leaves. */
  after?(call: Call): Promise<void> | void
}

/** The canonical status names; each server translates them to its protocol (gRPC code, HTTP status). */
export type FaultStatus =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DEADLINE_EXCEEDED"

/** Thrown by a fault: the server answers with this status. */
export class InjectedError extends Error {
  override readonly name = "InjectedError"
  readonly status: FaultStatus

  constructor(status: FaultStatus, message: string) {
    super(message)
    this.status = status
  }
}

/** The faults of one server. Every call goes through `around`; without faults that costs nothing. */
export class Faults {
  readonly #faults = new Set<Fault>()

  /** Adds a fault, and returns the function that takes it away again. */
  add(fault: Fault): () => void {
    this.#faults.add(fault)
    return () => this.#faults.delete(fault)
  }

  async around<T>(call: Call, serve: () => Promise<T> | T): Promise<T> {
    const faults = [...this.#faults].filter((fault) => fault.matches(call))
    for (const fault of faults) await fault.before?.(call)
    const answering = Promise.resolve().then(serve)
    // A refusal is an answer too.
    await answering.catch(() => undefined)
    for (const fault of faults) await fault.after?.(call)
    return answering
  }
}

type Match = Pick<Call, "method"> & Partial<Pick<Call, "resource">>

/** Fails the next `times` calls of a method, before the server has done anything. */
export function failBefore(match: Match, status: FaultStatus, times = 1): Fault {
  return counted(match, times, { before: () => fail(status) })
}

/** Fails the next `times` calls of a method after the server has done what was asked. */
export function failAfter(match: Match, status: FaultStatus, times = 1): Fault {
  return counted(match, times, { after: () => fail(status) })
}

function counted(match: Match, times: number, effect: Omit<Fault, "matches">): Fault {
  let left = times
  return {
    ...effect,
    matches: (call) =>
      call.method === match.method && (match.resource === undefined || call.resource === match.resource) && left-- > 0,
  }
}

function fail(status: FaultStatus): never {
  throw new InjectedError(status, `injected fault: ${status}`)
}
