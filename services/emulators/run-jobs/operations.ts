import { randomUUID } from "node:crypto"
import type { protos } from "@google-cloud/run"
import runProtos from "@google-cloud/run/build/protos/protos.js"
import { status } from "@grpc/grpc-js"
import type { Clock } from "../clock.ts"
import type { HttpRule } from "../http-rules.ts"
import type { UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import { keyOfToken, takePage } from "./pages.ts"
import { checkName, locationOf } from "./resource-names.ts"
import { durationMs } from "./timestamps.ts"

type Job = protos.google.cloud.run.v2.IJob
type Execution = protos.google.cloud.run.v2.IExecution
type OperationMessage = protos.google.longrunning.IOperation

// Operations live as long as the server, so the oldest go. Each is a few hundred bytes once it is done.
const OPERATIONS_KEPT_MAX = 2000
// How long WaitOperation waits at most; it may answer before the operation is done, so clients ask again.
const WAIT_MS_MAX = 60_000

interface Operation {
  name: string
  sequence: number
  /** What the operation is about, encoded as it is now. */
  resource(): protos.google.protobuf.IAny
  done: boolean
  /** Those who wait for it to be done. */
  waiters: Set<() => void>
}

/** The long-running operations of the server. Metadata and response are both the resource that they are about. */
export class Operations {
  readonly #clock: Clock
  readonly #operations = new Map<string, Operation>()
  #sequence = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Opens an operation on a resource that is read anew each time somebody asks, until `done` has settled. */
  open(kind: "Job", read: () => Job, done: Promise<unknown>): OperationMessage
  open(kind: "Execution", read: () => Execution, done: Promise<unknown>): OperationMessage
  open(kind: "Job" | "Execution", read: () => Job | Execution, done: Promise<unknown>): OperationMessage {
    const operation = this.#add(read().name ?? "", () => packResource(kind, read()))
    void this.#finishAfter(done, operation)
    return messageOf(operation)
  }

  /** An operation that is done from the start. */
  done(kind: "Job", resource: Job): OperationMessage
  done(kind: "Execution", resource: Execution): OperationMessage
  done(kind: "Job" | "Execution", resource: Job | Execution): OperationMessage {
    const packed = packResource(kind, resource)
    const operation = this.#add(resource.name ?? "", () => packed)
    operation.done = true
    return messageOf(operation)
  }

  methods(): UnaryMethods {
    return {
      // What it is about goes on: only nobody can ask about it any more.
      DeleteOperation: (request: protos.google.longrunning.IDeleteOperationRequest) => this.#delete(request.name),
      GetOperation: (request: protos.google.longrunning.IGetOperationRequest) => messageOf(this.#find(request.name)),
      WaitOperation: async (request: protos.google.longrunning.IWaitOperationRequest) => {
        const operation = this.#find(request.name)
        await this.#wait(operation, request.timeout ? durationMs(request.timeout) : WAIT_MS_MAX)
        return messageOf(operation)
      },
      ListOperations: (request: protos.google.longrunning.IListOperationsRequest) => {
        const location = checkName("location", request.name?.replace(/\/operations$/, ""))
        if (request.filter) throw new StatusError(status.UNIMPLEMENTED, "Operations cannot be filtered here")
        const after = Number(keyOfToken(request, /^\d+$/) ?? 0)
        const found = [...this.#operations.values()].filter(
          (operation) => operation.sequence > after && locationOf(operation.name) === location,
        )
        const { items, nextPageToken } = takePage(found, request, (operation) => String(operation.sequence))
        return { operations: items.map(messageOf), nextPageToken }
      },
    }
  }

  #delete(name: string | null | undefined): object {
    this.#operations.delete(this.#find(name).name)
    return {}
  }

  #add(resourceName: string, resource: Operation["resource"]): Operation {
    const name = `${locationOf(resourceName)}/operations/${randomUUID()}`
    const operation = { name, sequence: ++this.#sequence, resource, done: false, waiters: new Set<() => void>() }
    this.#operations.set(name, operation)
    if (this.#operations.size > OPERATIONS_KEPT_MAX) {
      const oldest = [...this.#operations.values()].find((operation) => operation.done)
      if (oldest) this.#operations.delete(oldest.name)
    }
    return operation
  }

  async #finishAfter(done: Promise<unknown>, operation: Operation): Promise<void> {
    await done
    const last = operation.resource()
    operation.resource = () => last // lets go of the execution and its tasks
    operation.done = true
    for (const wake of operation.waiters) wake()
  }

  #find(name: string | null | undefined): Operation {
    const operation = this.#operations.get(name ?? "")
    if (!operation) throw new StatusError(status.NOT_FOUND, `Operation "${name ?? ""}" not found`)
    return operation
  }

  #wait(operation: Operation, ms: number): Promise<void> {
    if (operation.done) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    operation.waiters.add(resolve)
    const cancelTimer = this.#clock.after(Math.min(ms, WAIT_MS_MAX), resolve)
    return promise.finally(() => {
      cancelTimer()
      operation.waiters.delete(resolve)
    })
  }
}

/** As the API has them, beside the service's own addresses: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.operations */
export const operationsHttp: Record<string, HttpRule[]> = {
  GetOperation: [{ get: "/v2/{name=projects/*/locations/*/operations/*}" }],
  ListOperations: [{ get: "/v2/{name=projects/*/locations/*}/operations" }],
  WaitOperation: [{ post: "/v2/{name=projects/*/locations/*/operations/*}:wait", body: "*" }],
  DeleteOperation: [{ delete: "/v2/{name=projects/*/locations/*/operations/*}" }],
  CancelOperation: [{ post: "/v2/{name=projects/*/locations/*/operations/*}:cancel", body: "*" }],
}

function messageOf(operation: Operation): OperationMessage {
  const resource = operation.resource()
  return {
    name: operation.name,
    metadata: resource,
    done: operation.done,
    ...(operation.done && { response: resource }),
  }
}

function packResource(kind: "Job" | "Execution", resource: Job | Execution): protos.google.protobuf.IAny {
  const type = runProtos.google.cloud.run.v2[kind]
  return {
    type_url: `type.googleapis.com/google.cloud.run.v2.${kind}`,
    value: type.encode(type.fromObject(resource)).finish(),
  }
}
