import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeProject, type Project } from "./stand-in-gcloud.ts"

/*
 * The bootstrap may be repeated whatever it is answered: what is there is never replaced and nothing comes twice. Each
 * question and each creation is refused once, by each kind of error, in the words of gcloud 528.
 */

const refusals: Record<string, string> = {
  "by a server that is unavailable": `ERROR: (gcloud.x.describe) HttpError accessing <https://x>: response: <{'status': '503'}>, content <{"error": {"code": 503, "message": "Service unavailable.", "status": "UNAVAILABLE"}}>`,
  "by a lack of rights": `ERROR: (gcloud.x.describe) PERMISSION_DENIED: Permission denied on resource (or it may not exist). This command is authenticated as you.`,
  "by an expired login": `ERROR: (gcloud.x.describe) UNAUTHENTICATED: Request had invalid authentication credentials.`,
  "by a quota": `ERROR: (gcloud.x.describe) RESOURCE_EXHAUSTED: Quota exceeded.`,
  "by an API that is off": `ERROR: (gcloud.x.describe) PERMISSION_DENIED: X API has not been used in project 42 before or it is disabled.`,
  "by a network that is not there": `ERROR: gcloud crashed (TransportError): HTTPSConnectionPool: Max retries exceeded: Failed to resolve name: Name or service not known`,
  "without a word": "",
}

const KINDS = Object.keys(refusals).length

// Those that ask before they create.
const sections = [
  "accounts",
  "custom-roles",
  "bucket",
  "build-bucket",
  "repository",
  "secrets",
  "topics",
  "placeholders",
  "iap",
  "scheduler",
  "alerts",
  "dashboard",
]

let empty: Project
let complete: Project
beforeAll(async () => {
  empty = await makeProject()
  complete = await empty.copy()
  await complete.bootstrap()
})
afterAll(async () => {
  await empty?.remove()
  await complete?.remove()
})

describe("the bootstrap of a project in which everything is there", () => {
  it("creates nothing, and leaves what was deployed since", async () => {
    const project = await complete.copy()
    await project.change("run-services--daybook-planner", "the planner of today")
    const before = await project.things()
    expect(await project.bootstrap()).toMatchObject({ code: 0 })
    expect(await project.things()).toEqual(before)
    await project.remove()
  })

  it.each(sections)(
    "stops where a question of the section %s is refused, whatever by, and changes nothing",
    async (only) => {
      const project = await complete.copy()
      const before = await project.things()
      const { count } = await project.bootstrap({ only })
      expect(count).toBeGreaterThan(0)
      for (let call = 1; call <= count; call++) {
        // All questions of a section are asked by the same lines: the first is refused by every kind, each other by one.
        const kinds = Object.entries(refusals).filter((_, at) => call === 1 || at === call % KINDS)
        for (const [kind, words] of kinds) {
          const { code, output, calls } = await project.bootstrap({ only, refused: { call, words } })
          expect([kind, call, code]).toEqual([kind, call, 1])
          expect(output).toContain("Error: gcloud could not say what is there, so nothing was created: gcloud ")
          expect(output).toContain(words)
          expect(calls.filter((one) => / (create|deploy) /.test(one))).toEqual([])
        }
      }
      expect(await project.things()).toEqual(before)
      await project.remove()
    },
  )
})

describe("the bootstrap of an empty project", () => {
  it.each(sections)(
    "that is refused anything in the section %s comes to the same end when it is run again",
    async (only) => {
      // What comes before the section is there.
      const before = await empty.copy()
      await before.bootstrap({ only: sections.slice(0, sections.indexOf(only)).join(",") || "apis" })
      const undisturbed = await before.copy()
      const { count } = await undisturbed.bootstrap({ only })
      const all = Array.from({ length: count }, (_, at) => at + 1)
      // Of a long section, which is one loop, its ends and its middle.
      const calls = all.filter((call) => count <= 12 || call <= 2 || call >= count - 1 || call === count >> 1)
      for (const call of calls) {
        const project = await before.copy()
        const words = Object.values(refusals)[call % KINDS] ?? ""
        expect((await project.bootstrap({ only, refused: { call, words } })).code).not.toBe(0)
        expect((await project.bootstrap({ only })).code).toBe(0)
        expect([call, await project.things()]).toEqual([call, await undisturbed.things()])
        await project.remove()
      }
      await before.remove()
      await undisturbed.remove()
    },
  )
})

describe("what is new at Google", () => {
  const unknown =
    "ERROR: (gcloud.iam) INVALID_ARGUMENT: Service account daybook-planner@shop.iam.gserviceaccount.com does not exist."

  it("is waited for, with progress, and only as long as it is said", async () => {
    const project = await empty.copy()
    const disabled = refusals["by an API that is off"] ?? ""
    const once = await project.bootstrap({ only: "topics", refused: { call: 1, words: disabled }, waitSeconds: 20 })
    expect(once.code).toBe(0)
    expect(once.output).toContain(
      "# not known everywhere yet, after 0 of 20 s: ERROR: (gcloud.x.describe) PERMISSION_DENIED",
    )
    expect(once.calls.filter((call) => call.startsWith("sleep"))).toEqual(["sleep 5"])
    // The planner's service runs as an account that was created a moment ago.
    const created = await project.bootstrap({
      only: "placeholders",
      refused: { call: 2, words: unknown },
      waitSeconds: 20,
    })
    expect(created.code).toBe(0)
    await project.remove()
  })

  it("fails what needs it once the time is over", async () => {
    const project = await empty.copy()
    const words = refusals["by an API that is off"] ?? ""
    const { code, output } = await project.bootstrap({ only: "topics", refused: { call: 1, words } })
    expect([code, output]).toEqual([1, expect.stringContaining("has not been used in project 42")])
    await project.remove()
  })
})
