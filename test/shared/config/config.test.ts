import { expect, test } from "vitest"
import { plainLayout } from "../../../schemas/database/shop-layout.ts"
import { readFinalizerConfig } from "../../../services/finalizer/config.ts"
import { readPageConfig } from "../../../services/page/config.ts"
import { readPlannerConfig } from "../../../services/planner/config.ts"
import { readWorkerConfig } from "../../../services/worker/config.ts"
import { ConfigurationError } from "../../../shared/errors.ts"

const sound = {
  DATABASE_URL: "mysql://root@127.0.0.1:3306/shop",
  GOOGLE_CLOUD_PROJECT: "shop",
  BUCKET: "shop-daybook",
  WORKER_JOB: "projects/shop/locations/europe-west1/jobs/daybook-worker",
  PUSH_AUDIENCE: "https://daybook-planner-1.europe-west1.run.app",
  PUSH_ACCOUNTS: "daybook-push@shop.iam.gserviceaccount.com",
}
const task = {
  RUN_ID: "2026-11-22-1",
  DISPATCH: "0",
  CLOUD_RUN_EXECUTION: "daybook-worker-abcde",
  CLOUD_RUN_TASK_INDEX: "0",
  CLOUD_RUN_TASK_ATTEMPT: "0",
  CLOUD_RUN_TASK_COUNT: "1",
}

function listProblems(read: () => unknown): string[] {
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    return (error as Error).message.split("\n").slice(1)
  }
  return []
}

test("a sound environment is read, with defaults", () => {
  expect(readPlannerConfig(sound)).toMatchObject({
    PORT: 8080,
    SHARD_PURCHASES: "auto",
    TASKS_MAX: 10,
    REVENUE_TIME_ZONE: "UTC",
  })
  expect(readPlannerConfig({ ...sound, SHARD_PURCHASES: "7" })).toMatchObject({ SHARD_PURCHASES: 7 })
  expect(readWorkerConfig({ ...sound, ...task })).toMatchObject({ DISPATCH: 0, SHARD_CRASHES_MAX: 3 })
  expect(readFinalizerConfig(sound)).toMatchObject({ PORT: 8080 })
})

test("tasks and the finalizer read alike when to wait for the shop", () => {
  const throttle = { THROTTLE_QUERY: "SELECT 1", THROTTLE_THREADS_RUNNING: "20" }
  const read = { THROTTLE_QUERY: "SELECT 1", THROTTLE_THREADS_RUNNING: 20, THROTTLE_MINUTES_MAX: 30 }
  expect(readWorkerConfig({ ...sound, ...task, ...throttle })).toMatchObject(read)
  expect(readFinalizerConfig({ ...sound, ...throttle })).toMatchObject(read)
})

test("every problem is reported at once, with the variable's name and what it is for", () => {
  const problems = listProblems(() =>
    readPlannerConfig({
      BUCKET: "b",
      DATABASE_URL: "postgres://x",
      PUSH_TOKENS: "none",
      SHARD_PURCHASES: "many",
      REVENUE_TIME_ZONE: "Mars",
    }),
  )
  expect(problems).toEqual([
    "  DATABASE_URL is not a URL of the form mysql://user:password@host:port/database (the database of the shop and of Revenue, as mysql://user:password@host:port/database)",
    "  GOOGLE_CLOUD_PROJECT is not set (the Google Cloud project)",
    "  WORKER_JOB is not set (the Cloud Run Job of the worker)",
    "  PUSH_AUDIENCE is not set (the audience that push tokens must name: this service's own URL)",
    "  PUSH_ACCOUNTS is not set (the service accounts that may push, separated by spaces)",
    "  PUSH_TOKENS is not verify or trust-cloud-run",
    "  REVENUE_TIME_ZONE is not an IANA time zone such as Europe/Berlin (the IANA time zone in which a revenue date is a day)",
    "  SHARD_PURCHASES is neither auto nor a whole number from 1 to 1000000000 (about how many purchases a shard holds; auto: by the size of the day and the tasks)",
  ])
})

test.each(["IST", "JST", "PST", "CST", "CET"])("%s is no time zone: it may be one of several", (name) => {
  const [problem] = listProblems(() => readPlannerConfig({ ...sound, REVENUE_TIME_ZONE: name }))
  expect(problem).toContain("REVENUE_TIME_ZONE is not an IANA time zone such as Europe/Berlin")
})

test.each(["DATABASE_URL", "BUCKET", "REVENUE_TIME_ZONE", "SHARD_PURCHASES", "LOG_LEVEL", "PORT"])(
  "%s set to nothing is an error, not a default",
  (name) => {
    const problems = listProblems(() => readPlannerConfig({ ...sound, [name]: "" }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`${name} is set to nothing`)
  },
)

test("a worker outside Cloud Run says what it misses", () => {
  const problems = listProblems(() => readWorkerConfig(sound)).map((line) => line.trim().split(" ")[0])
  expect(problems.toSorted()).toEqual(Object.keys(task).toSorted())
})

test.each([
  ["planner", () => readPlannerConfig({ ...sound, BUCKET: "", SHOP_FILE: "no.yaml" })],
  ["worker", () => readWorkerConfig({ ...sound, ...task, BUCKET: "", SHOP_FILE: "no.yaml" })],
  ["finalizer", () => readFinalizerConfig({ ...sound, BUCKET: "", SHOP_FILE: "no.yaml" })],
  ["page", () => readPageConfig({ ...sound, IAP_AUDIENCE: "/projects/1", BUCKET: "", SHOP_FILE: "no.yaml" })],
])("a declaration that cannot be read is one of the problems that the %s reports", (_name, read) => {
  const problems = listProblems(read)
  expect(problems).toHaveLength(2)
  expect(problems).toContainEqual(
    expect.stringMatching(/^ {2}SHOP_FILE no\.yaml is no declaration of a shop: ENOENT.* \(the file that declares/),
  )
  expect(problems).toContainEqual(expect.stringMatching(/^ {2}BUCKET is set to nothing/))
})

test("without a declaration the shop is read as the demo makes it", () => {
  expect(readPlannerConfig(sound).SHOP_FILE).toBe(plainLayout)
  expect(listProblems(() => readPlannerConfig({ ...sound, SHOP_FILE: "" }))).toEqual([
    "  SHOP_FILE is set to nothing (the file that declares the shop's tables)",
  ])
})
