import { randomBytes } from "node:crypto"
import { describe, expect, test } from "vitest"
import { readNotifyConfig } from "../../services/notify/config.ts"
import { ConfigurationError } from "../../shared/errors.ts"
import { openReceiver } from "../../shared/webhook/receiver-settings.ts"

const key = (bytes = 32) => `whsec_${randomBytes(bytes).toString("base64")}`

const cloud = {
  GOOGLE_CLOUD_PROJECT: "shop",
  PUSH_AUDIENCE: "https://daybook-notify-1.europe-west1.run.app",
  PUSH_ACCOUNTS: "daybook-push@shop.iam.gserviceaccount.com",
  NOTIFY_URL: "https://chat.example/hooks/SECRET",
  NOTIFY_SECRETS: key(),
}
const local = { ...cloud, PUBSUB_EMULATOR_HOST: "127.0.0.1:8085" }

function problemOf(env: NodeJS.ProcessEnv): string {
  try {
    readNotifyConfig(env)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    return (error as Error).message.split("\n").slice(1).join("\n").trim()
  }
  return ""
}

test("a sound environment is read, with defaults", () => {
  const config = readNotifyConfig(cloud)
  expect([...config.NOTIFY_STATES]).toEqual(["late", "held", "incomplete", "drifted"])
  expect(openReceiver(config)).toEqual({
    url: new URL(cloud.NOTIFY_URL),
    keys: [cloud.NOTIFY_SECRETS],
    format: "cloudevents",
    allowed: new Set(["public"]),
    pageUrl: undefined,
  })
})

test("states may stand between commas or spaces, and one that there is not is named as such", () => {
  const { NOTIFY_STATES } = readNotifyConfig({ ...cloud, NOTIFY_STATES: "shown, late  arrived" })
  expect([...NOTIFY_STATES]).toEqual(["shown", "late", "arrived"])
  expect(problemOf({ ...cloud, NOTIFY_STATES: "late,gone" })).toMatch(/NOTIFY_STATES names a state that there is not/)
})

describe("the secret", () => {
  test("holds one key, or two while one is replaced, and may end with a newline", () => {
    const keys = [key(24), key(64)]
    expect(openReceiver(readNotifyConfig({ ...cloud, NOTIFY_SECRETS: `${keys.join("\n")}\n` })).keys).toEqual(keys)
  })

  test("holds the URL where that is a password", () => {
    const { NOTIFY_URL: url, ...others } = cloud
    const config = readNotifyConfig({ ...others, NOTIFY_SECRETS: `${url} ${cloud.NOTIFY_SECRETS}` })
    expect(openReceiver(config)).toMatchObject({ url: new URL(url), keys: [cloud.NOTIFY_SECRETS] })
    const text = { ...others, NOTIFY_FORMAT: "text", NOTIFY_SECRETS: url }
    expect(openReceiver(readNotifyConfig(text))).toMatchObject({ url: new URL(url), keys: [] })
  })

  test.each([
    ["nothing", { NOTIFY_SECRETS: undefined }, "NOTIFY_SECRETS is not set"],
    ["no key", { NOTIFY_SECRETS: "https://chat.example/SECRET" }, "holds no key (the signing key, or two"],
    ["a key without its prefix", { NOTIFY_SECRETS: "SECRET" }, "begins neither with whsec_ nor with https://"],
    ["a short key", { NOTIFY_SECRETS: key(23) }, "not 24 to 64 bytes in base64"],
    ["a long key", { NOTIFY_SECRETS: key(65) }, "not 24 to 64 bytes in base64"],
    ["no base64", { NOTIFY_SECRETS: `whsec_SECRET${"!".repeat(40)}` }, "not 24 to 64 bytes in base64"],
    ["three keys", { NOTIFY_SECRETS: [key(), key(), key()].join(" ") }, "more than 2 keys"],
    ["two URLs", { NOTIFY_SECRETS: `${key()} https://a.example https://b.example` }, "more than one URL"],
    ["a URL inside", { NOTIFY_SECRETS: `${key()} https://10.0.0.1/SECRET` }, "holds a URL that cannot be notified"],
  ])("is refused where it holds %s, and is not repeated", (_what, given, problem) => {
    const said = problemOf({ ...cloud, ...given })
    expect(said).toContain(problem)
    expect(said).not.toContain("SECRET!")
    expect(said).not.toContain("/SECRET")
  })
})

describe("the URL", () => {
  test.each([
    ["http://chat.example/SECRET", "does not begin with https://"],
    ["http://127.0.0.1:9000/SECRET", "does not begin with https://"],
    ["ftp://chat.example/SECRET", "does not begin with https://"],
    ["file:///SECRET", "does not begin with https://"],
    ["chat.example/SECRET", "is not a URL"],
    ["https://127.0.0.1/SECRET", "127.0.0.1 is a loopback address"],
    ["https://2130706433/SECRET", "127.0.0.1 is a loopback address"],
    ["https://0177.0.0.1./SECRET", "127.0.0.1 is a loopback address"],
    ["https://192.168.1.1/SECRET", "or set NOTIFY_ALLOW_PRIVATE=1 if the receiver is there"],
    ["https://[::ffff:10.0.0.1]/SECRET", "::ffff:a00:1 is a private address"],
    ["https://169.254.169.254/SECRET", "is link-local or reserved, where no receiver is. Correct NOTIFY_URL."],
    ["https://[fe80::1]/SECRET", "is link-local or reserved"],
  ])("%s is refused in a cloud before anything begins, and is not repeated", (url, problem) => {
    const said = problemOf({ ...cloud, NOTIFY_URL: url })
    expect(said).toContain(`NOTIFY_URL `)
    expect(said).toContain(problem)
    expect(said).not.toContain("SECRET")
  })

  test("may be a private one where that is allowed, but never the metadata server's, and never http://", () => {
    const allowed = { ...cloud, NOTIFY_ALLOW_PRIVATE: "1" }
    for (const url of ["https://10.0.0.1/", "https://[fd00::1]/", "https://127.0.0.1/", "https://chat.example/"])
      expect(problemOf({ ...allowed, NOTIFY_URL: url })).toBe("")
    for (const url of ["https://169.254.169.254/", "https://[fd20:ce::254]/", "http://10.0.0.1/"])
      expect(problemOf({ ...allowed, NOTIFY_URL: url })).not.toBe("")
  })

  test("may be http:// in a local cloud, for loopback alone", () => {
    for (const url of ["http://127.0.0.1:9000/hook", "http://localhost:9000/", "http://[::1]:9000/"]) {
      const config = readNotifyConfig({ ...local, NOTIFY_URL: url })
      expect(openReceiver(config).allowed).toEqual(new Set(["loopback"]))
    }
    expect(problemOf({ ...local, NOTIFY_URL: "http://10.0.0.1/" })).toContain("is not a loopback address. Use https://")
    expect(problemOf({ ...local, NOTIFY_URL: "http://10.0.0.1/", NOTIFY_ALLOW_PRIVATE: "1" })).toContain("Use https://")
    expect(openReceiver(readNotifyConfig(local)).allowed).toEqual(new Set(["public", "loopback"]))
  })

  test("of the page must be one, too", () => {
    expect(problemOf({ ...cloud, PAGE_URL: "days.example" })).toContain("PAGE_URL is not a URL")
    expect(problemOf({ ...cloud, PAGE_URL: "javascript:alert(1)" })).toContain("PAGE_URL is not a URL")
  })
})

test("all problems are told at once", () => {
  expect(problemOf({ NOTIFY_FORMAT: "xml", NOTIFY_ALLOW_PRIVATE: "yes" }).match(/^ *[A-Z_]+/gm)).toHaveLength(7)
})
