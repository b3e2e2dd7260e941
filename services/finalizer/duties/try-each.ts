import { describeError } from "../../../shared/errors.ts"

/** Does something with each of some items. What fails with one keeps no other waiting and is thrown at the end. */
export async function tryEach<Item>(items: Iterable<Item>, work: (item: Item) => Promise<unknown>): Promise<void> {
  const failures: unknown[] = []
  for (const item of items) {
    try {
      await work(item)
    } catch (error) {
      failures.push(error)
    }
  }
  throwFailures(failures)
}

/** Throws what failed, if anything did: one error as it is, several as one. */
export function throwFailures(failures: unknown[]): void {
  const all = failures.flatMap((error): unknown[] => (isBundle(error) ? error.errors : [error]))
  if (all.length === 1) throw all[0]
  if (all.length > 1) throw new AggregateError(all, `${describeError(all[0])} (and ${all.length - 1} more)`)
}

/** Node bundles the errors of several addresses under a code; that is one error. */
const isBundle = (error: unknown): error is AggregateError => error instanceof AggregateError && !("code" in error)
