// Run by orphaned-tasks.test.ts: starts a task that would run for long, says which process it is, and is then killed.
import { startRunJobsFixture } from "./run-jobs-fixture.ts"

const run = await startRunJobsFixture()
run.server.onAttempt((event) => console.log(event.pid))
await run.run(await run.createJob("orphaned", "sleep 600"))
