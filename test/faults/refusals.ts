import { InjectedError } from "../../services/emulators/faults.ts"
import type { Armed, CallRecorder, Moment, RecordedCall } from "./call-recorder.ts"
import { type DatabaseProxy, SqlError } from "./database-proxy.ts"

/*
 * A server may refuse any statement and keep the connection: a lock that is not granted, a limit of the account, a switch to
 * read-only, a privilege that is gone. The proxy answers for it, so that the server has done nothing and its transaction is
 * still open. What follows must be what follows a crash at that point.
 */

/** What happens to one statement of a transaction, once. */
export interface Refusal {
  name: string
  /** It is not tried again by itself everywhere: a person reruns what failed. */
  isLasting: boolean
  moment: Moment
  error: () => Error
  /** So is the ROLLBACK that follows on the same connection. */
  isRollbackRefused: boolean
}

const errors: { isLasting: boolean; error: () => SqlError }[] = [
  { isLasting: false, error: () => new SqlError(1205, "HY000", "injected: Lock wait timeout exceeded") },
  { isLasting: false, error: () => new SqlError(1290, "HY000", "injected: running with the --read-only option") },
  { isLasting: true, error: () => new SqlError(1142, "42000", "injected: command denied to user 'daybook'") },
]

/** Nobody knows what became of a COMMIT whose answer is lost. Its process lives, and tries again by itself. */
const lostAnswers: Refusal[] = (["before", "after"] as const).map((moment) => ({
  name: `cut ${moment}`,
  isLasting: false,
  moment,
  error: () => new InjectedError("ABORTED", "injected: the connection is cut"),
  isRollbackRefused: false,
}))

const BEGIN = /: database\.query (?:begin|start transaction)\b/i
const COMMIT = /: database\.query commit\b/i

/**
 * All that may happen to a statement: after a BEGIN or a COMMIT that is refused there is no ROLLBACK. Each call's begin with
 * another, so that a sample of every n-th has all of them.
 */
export function listRefusals({ key, isInTransaction }: RecordedCall, at: number): Refusal[] {
  if (!isInTransaction) return []
  const isEdge = BEGIN.test(key) || COMMIT.test(key)
  const refused = (isEdge ? [false] : [false, true]).flatMap((isRollbackRefused) =>
    errors.map(({ isLasting, error }) => ({
      name: `refused ${error().errno}${isRollbackRefused ? ", and its rollback too," : ""} at`,
      isLasting,
      moment: "before" as const,
      error,
      isRollbackRefused,
    })),
  )
  const all = COMMIT.test(key) ? [...refused, ...lostAnswers] : refused
  const first = at % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

/** Makes it happen at a call, once. */
export function refuseAt(recorder: CallRecorder, proxy: DatabaseProxy, key: string, refusal: Refusal): Armed {
  let removeRollback = () => {}
  const armed = recorder.at(key, refusal.moment, async ({ clientPort }) => {
    if (refusal.isRollbackRefused) removeRollback = refuseRollback(proxy, clientPort, refusal.error)
    throw refusal.error()
  })
  return {
    happened: () => armed.happened(),
    cancel: () => {
      armed.cancel()
      removeRollback()
    },
  }
}

/** Refuses the next ROLLBACK of a connection. */
function refuseRollback(proxy: DatabaseProxy, clientPort: number | undefined, error: () => Error): () => void {
  const remove = proxy.faults.add({
    matches: (call) => call.clientPort === clientPort && /^rollback\b/i.test(String(call.request)),
    before: () => {
      remove()
      throw error()
    },
  })
  return remove
}
