import { randomBytes } from "node:crypto"
import { Webhook } from "standardwebhooks"
import { expect, onTestFinished, test } from "vitest"
import { dayStates } from "../../shared/webhook/describe-change.ts"
import { typeCommand } from "../fixtures/start-cli.ts"
import { type AnswerRequest, type Received, startReceiver } from "../fixtures/start-receiver.ts"

const key = `whsec_${randomBytes(32).toString("base64")}`

async function startWith(answer?: AnswerRequest) {
  const receiver = await startReceiver(answer)
  onTestFinished(receiver.stop)
  const env = {
    GOOGLE_CLOUD_PROJECT: "shop",
    // Nothing is called there: it says that this is no cloud, so that the receiver may be on this machine.
    PUBSUB_EMULATOR_HOST: "127.0.0.1:1",
    NOTIFY_URL: receiver.url,
    NOTIFY_SECRETS: key,
  }
  const notify = (args: string[] = [], more = {}) => typeCommand(["notify", "--test", ...args], { ...env, ...more })
  return { receiver, env, notify }
}

test("a sample of each state arrives, signed, and says that it is one; the answer is shown", async () => {
  const { receiver, notify } = await startWith((response) => response.writeHead(202).end("thanks, got it"))
  for (const state of dayStates) {
    const { code, stdout, stderr } = await notify(["--state", state])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const { origin } = new URL(receiver.url)
    expect(stdout).toMatch(
      new RegExp(
        `^Sent a sample of "${state}" to ${origin} as test-[-0-9a-f]{36}, signed with one key\\.\nIt answered 202 after [0-9.]+ s: thanks, got it\n$`,
      ),
    )
    const { body, headers } = receiver.received.at(-1) as Received
    const event = new Webhook(key).verify(body, headers as Record<string, string>)
    expect(event).toMatchObject({
      test: true,
      type: `daybook.day.${state}`,
      id: headers["webhook-id"],
      data: { state },
    })
  }
  const text = await notify(["--state", "drifted"], { NOTIFY_FORMAT: "text", NOTIFY_SECRETS: receiver.url })
  expect(text.stdout).toContain("not signed")
  expect(receiver.received.at(-1)?.body).toMatch(
    /^\{"text":"This is a test\. The revenue of \d{4}-\d\d-\d\d has drifted: .* worth 15,717,735\.66\."\}$/,
  )
})

test.each([
  [410, "refused", "is not sent again"],
  [503, "failed", "is sent again later"],
  [302, "failed", "is sent again later"],
])("an answer of %i is shown, with what it would mean, and is a failure", async (status, outcome, meaning) => {
  const { notify } = await startWith((response) => response.writeHead(status, { location: "http://[::1]/" }).end("no"))
  const text = await notify()
  expect(text.code).toBe(1)
  expect(text.stdout).toContain(`It answered ${status} after `)
  expect(text.stdout).toContain(meaning)
  const json = await notify(["--json"])
  expect([json.code, JSON.parse(json.stdout)]).toMatchObject([1, { status, outcome, answer: "no" }])
})

test("what keeps it from being sent is told in one sentence, and the rest of the URL is not", async () => {
  const { env, notify } = await startWith()
  const { PUBSUB_EMULATOR_HOST: _, ...cloud } = env
  const inside = { ...cloud, NOTIFY_URL: "https://localhost/password" }
  expect(await typeCommand(["notify", "--test"], inside)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(
      /^Error: localhost is not connected to: \S+ is a loopback address\. Correct NOTIFY_URL, or set NOTIFY_ALLOW_PRIVATE=1 if the receiver is there\.\n$/,
    ) as string,
  })
  const nobody = await notify([], { NOTIFY_URL: "http://127.0.0.1:1/password" })
  expect(nobody.code).toBe(1)
  expect(nobody.stderr).toMatch(/^Error: http:\/\/127\.0\.0\.1:1 cannot be notified: .*ECONNREFUSED.*\n$/)
  const unset = await typeCommand(["notify", "--test"], { GOOGLE_CLOUD_PROJECT: "shop" })
  expect(unset.code).toBe(1)
  expect(unset.stderr).toContain("NOTIFY_URL is not set")
  const bare = await typeCommand(["notify"], env)
  expect(bare.code).toBe(2)
  expect(bare.stderr).toContain("--test")
})
