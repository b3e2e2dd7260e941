import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import pMap from "p-map"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Failure } from "./control-plane.ts"
import { isWanted, type RealGcloud, runBash, startRealGcloud } from "./real-gcloud.ts"

/* What the real gcloud says when it cannot answer, for each question of the bootstrap: only a 404 means "not there". */

// gcloud asks again for half a minute where a server is unavailable, and mostly sleeps meanwhile.
const AT_ONCE = 4
const TEST_MS_MAX = 400_000

let real: RealGcloud
beforeAll(async () => {
  if (isWanted) real = await startRealGcloud()
})
afterAll(() => real?.stop())

/** One question for each kind of thing, as the bootstrap asks it. */
function readQuestions(): string[] {
  const script = fileURLToPath(new URL("../../services/provision/bootstrap.sh", import.meta.url))
  const printed = execFileSync("bash", [script, "--project", "shop", "--dry-run"], {
    env: { PATH: "/usr/bin:/bin" },
    encoding: "utf8",
  })
  const questions = printed.split("\n").flatMap((line) => / *(.*) >\/dev\/null \|\| /.exec(line)?.[1] ?? [])
  const kinds = new Map(questions.map((question) => [question.replace(/ describe .*/, ""), question]))
  return [...kinds.values(), "gcloud scheduler jobs describe daybook-daily --project=shop --location=europe-west1"]
}

// Lists, which answer nothing where there is nothing.
const lists = [
  "gcloud alpha monitoring policies list --project=shop --format=value\\(name\\)",
  "gcloud monitoring dashboards list --project=shop --format=value\\(name\\)",
]

const ask = (question: string, signal: AbortSignal) => {
  const script = `dry_run=no wait_seconds=0; source ask-gcloud.sh; if exists ${question}; then echo there; else echo missing; fi`
  return runBash(["-euo", "pipefail", "-c", script], real.env, signal)
}

describe.skipIf(!isWanted)("each question of the bootstrap", { timeout: TEST_MS_MAX }, () => {
  test("has at least one for each kind of thing", () => expect(readQuestions().length).toBeGreaterThan(8))

  test("is answered with no by a 404 alone", async ({ signal }) => {
    real.refuse(/(?:)/, { code: 404, status: "NOT_FOUND", message: "It was not found." }, Number.POSITIVE_INFINITY)
    const answers = await pMap(readQuestions(), (question) => ask(question, signal), { concurrency: AT_ONCE })
    expect(answers.map(({ code, output }) => [code, output.trim()])).toEqual(answers.map(() => [0, "missing"]))
  })

  test.for([
    [403, "PERMISSION_DENIED", "Permission denied on resource (or it may not exist)."],
    [401, "UNAUTHENTICATED", "Request had invalid authentication credentials."],
    [400, "FAILED_PRECONDITION", "Not in this state."],
    [429, "RESOURCE_EXHAUSTED", "Quota exceeded."],
    [500, "INTERNAL", "Internal error."],
    [503, "UNAVAILABLE", "The service is currently unavailable."],
    [0, "a connection that breaks", ""],
  ] as const)("is not answered by %i %s", async ([code, status, message], { signal }) => {
    const failure: Failure = code === 0 ? "reset" : { code, status, message }
    real.refuse(/(?:)/, failure, Number.POSITIVE_INFINITY)
    const questions = [...readQuestions(), ...lists]
    // Ends them all when the test fails.
    const answers = await pMap(questions, (question) => ask(question, signal), { concurrency: AT_ONCE })
    for (const [at, answer] of answers.entries()) {
      expect([questions[at], answer.code]).toEqual([questions[at], 1])
      expect(answer.output).toContain("Error: gcloud could not say what is there, so nothing was created")
    }
  })
})
