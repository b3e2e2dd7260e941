import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    // Takes minutes: `npm run test:faults`.
    exclude: ["test/faults/**"],
    // Files share their worker's modules: loading Google's clients for each anew takes longer than most tests.
    isolate: false,
    // Half of the time a test waits for processes that it has started.
    maxWorkers: 2,
    globalSetup: "test/global-setup.ts",
    // Real processes and a real database on two cores: generous, so that only a hang fails, never a busy machine.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
