import { createConnection } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { typeCommand } from "../fixtures/start-cli.ts"

const emptyDatabase = `daybook_test_unmigrated_${process.pid}`

async function admin(statement: string): Promise<void> {
  const connection = await createConnection({ uri: inject("databaseServer") })
  await connection.query(statement)
  await connection.end()
}

beforeAll(() => admin(`CREATE DATABASE ${emptyDatabase}`))
afterAll(() => admin(`DROP DATABASE ${emptyDatabase}`))

const urlOf = (change: (url: URL) => void) => {
  const url = new URL(emptyDatabase, inject("databaseServer"))
  change(url)
  return url.href
}

describe("what a person can put right is one sentence, exit code 1 and no stack trace", () => {
  const cases: [string, () => string, RegExp][] = [
    ["a database that is down", () => "mysql://root@127.0.0.1:9/shop", /^No database answers at 127\.0\.0\.1:9: start/],
    ["a host that is not there", () => "mysql://root@nowhere.invalid/shop", /host nowhere\.invalid cannot be found/],
    [
      "a wrong password",
      () => urlOf((url) => Object.assign(url, { username: "nobody", password: "wrong" })),
      /refuses the user "nobody" with this password/,
    ],
    [
      "an unknown database",
      () => urlOf((url) => Object.assign(url, { pathname: "/no_such_shop" })),
      /There is no database "no_such_shop"/,
    ],
    ["a database without Daybook's tables", () => urlOf(() => undefined), /run npm run migrate\.$/],
    ["a password that is not written as in a URL", () => "mysql://root:100%@127.0.0.1:9/shop", /cannot be read/],
  ]
  test.for(cases)("%s", async ([, url, sentence]) => {
    const env = { DATABASE_URL: url(), BUCKET: "daybook" }
    const { code, stdout, stderr } = await typeCommand(["status"], env)
    expect(stderr.trimEnd()).toMatch(sentence)
    expect(stderr.trimEnd().split("\n")).toHaveLength(1)
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
  })

  test("a project without the topics", async () => {
    const { startPubSub } = await import("../../services/emulators/pubsub/server.ts")
    const server = await startPubSub()
    const env = { GOOGLE_CLOUD_PROJECT: "elsewhere", PUBSUB_EMULATOR_HOST: `127.0.0.1:${server.port}` }
    const { code, stderr } = await typeCommand(["start", "2026-11-22"], env)
    await server.stop()
    expect(stderr).toMatch(/^Pub\/Sub lacks it in the project elsewhere .*provision/)
    expect(code).toBe(1)
  })
})

test("every variable that is missing is named at once", async () => {
  const { code, stderr } = await typeCommand(["start", "2026-11-22", "--wait"], {})
  expect(stderr).toMatch(/GOOGLE_CLOUD_PROJECT is not set[\s\S]*DATABASE_URL is not set[\s\S]*BUCKET is not set/)
  expect(code).toBe(1)
})

test("before a request is published, --wait finds out that nobody could follow it", async () => {
  const env = { GOOGLE_CLOUD_PROJECT: "p", PUBSUB_EMULATOR_HOST: "127.0.0.1:9", BUCKET: "b" }
  const { code, stderr } = await typeCommand(["start", "2026-11-22", "--wait"], {
    ...env,
    DATABASE_URL: urlOf(() => {}),
  })
  expect(stderr).toContain("npm run migrate")
  expect(code).toBe(1)
})

test.for([
  ["start"],
  ["start", "22.11.2026"],
  ["start", "2026-11-22", "--timeout", "5"],
  ["start", "2026-11-22", "--wait", "--timeout", "soon"],
  ["start", "2026-11-22", "2026-11-23"],
  ["rerun", "2026-11-22", "--shards", "3,x"],
  ["rerun", "../../etc"],
  ["status", "--watch"],
  ["status", "--limit", "0"],
  ["compute"],
  ["--verbose"],
  [],
])("a command line that cannot be understood exits 2: daybook %j", async (args) => {
  const { code, stdout, stderr } = await typeCommand(args, {})
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toMatch(/^(error: |Usage: )/)
})

test.for([["--help"], ["start", "--help"], ["status", "--help"], ["rerun", "-h"], ["help"]])(
  "help is printed with examples and exits 0: daybook %j",
  async (args) => {
    const { code, stdout, stderr } = await typeCommand(args, {})
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toContain("npm run daybook -- ")
  },
)
