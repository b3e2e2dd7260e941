export interface Cleanup {
  add(close: () => Promise<unknown>): void
  /** Closes what was added, the newest first, each once, whatever the others do; throws the first failure. */
  close(): Promise<void>
}

/** What is to be done in the end. A closing that is asked for during another waits for it. */
export function openCleanup(): Cleanup {
  const closers: (() => Promise<unknown>)[] = []
  let closing: Promise<void> = Promise.resolve()

  async function closeAll(before: Promise<void>): Promise<void> {
    const failures: unknown[] = []
    await before.catch((error: unknown) => failures.push(error))
    for (let close = closers.pop(); close; close = closers.pop()) {
      await close().catch((error: unknown) => failures.push(error))
    }
    if (failures.length > 0) throw failures[0]
  }

  return {
    add: (close) => void closers.push(close),
    close: () => {
      closing = closeAll(closing)
      return closing
    },
  }
}
