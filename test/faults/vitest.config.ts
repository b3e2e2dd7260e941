import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/faults/**/*.test.ts"],
    // Each file has a cloud of its own, which waits for a good part of its time; three keep two cores busy.
    maxWorkers: 3,
    // A test holds many cases, each with its own end.
    testTimeout: 30 * 60_000,
    hookTimeout: 120_000,
  },
})
