import { execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { parse } from "yaml"
import { findFreePort } from "../../services/local/free-port.ts"
import { topics } from "../../shared/messages/topics.ts"
import { parseGcloud } from "./gcloud-flags.ts"
import { readBuildFile } from "./run-build.ts"
import { hasShellcheck, shellcheck } from "./shellcheck.ts"

const provision = fileURLToPath(new URL("../../services/provision", import.meta.url))
const bootstrap = join(provision, "bootstrap.sh")

interface Grant {
  on: string
  who: string
  role: string
  why: string
}

async function readGrants(): Promise<Grant[]> {
  const text = await readFile(join(provision, "roles.txt"), "utf8")
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"))
  return lines.map((line) => {
    const [on = "", who = "", role = "", why = ""] = line.split("|").map((cell) => cell.trim())
    return { on, who, role, why }
  })
}

/** Prints a script's commands word by word, without running any. */
function splitWords(line: string): string[] {
  return execFileSync("bash", ["--norc", "-c", `printf '%s\\n' ${line}`], { encoding: "utf8" })
    .trimEnd()
    .split("\n")
}

const isCreate = (call: string) => / (create|deploy) /.test(call)

/** No gcloud anywhere: a dry run needs none. */
function runDry(env: Record<string, string> = {}): string {
  return execFileSync("bash", [bootstrap, "--project", "shop", "--dry-run"], {
    env: { PATH: "/usr/bin:/bin", ...env },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  })
}

/** Where the shop is read on another server. */
const elsewhere = { SOURCE_DATABASE_SECRET: "shop-replica-url" }

let dryRun: string
beforeAll(() => {
  dryRun = runDry()
})

describe("bootstrap.sh --dry-run", () => {
  it("prints commands that gcloud has, with flags that they have", () => {
    const commands = dryRun.split("\n").flatMap((line) => line.replace(" >/dev/null", "").split(" || "))
    const calls = commands
      .filter((line) => line.startsWith("gcloud "))
      .map((line) => parseGcloud(splitWords(line).slice(1)))
    expect(calls.length).toBeGreaterThan(80)
    expect(new Set(dryRun.split("\n").map((line) => line.split(" ")[0]))).toEqual(new Set(["#", "gcloud", ""]))
  })

  it("grants every line of roles.txt, and nothing else", async () => {
    const bound = runDry(elsewhere)
      .split("\n")
      .filter((line) => line.includes("add-iam-policy-binding"))
    const grants = await readGrants()
    for (const { who, role } of grants) {
      const agents: Record<string, string> = {
        "pubsub-agent": "service-PROJECT_NUMBER@gcp-sa-pubsub",
        "iap-agent": "service-PROJECT_NUMBER@gcp-sa-iap",
      }
      const member = agents[who] ?? `daybook-${who}@shop`
      expect(
        bound.filter((line) => line.includes(member) && line.includes(role.replace("custom/", "roles/"))),
      ).not.toEqual([])
    }
    expect(new Set(bound).size).toBe(grants.length)
    expect(bound).toHaveLength(grants.length)
  })

  it("has a second secret only where the shop is read on another server, for those who read it", async () => {
    const added = runDry(elsewhere)
      .split("\n")
      .filter((line) => line.includes("shop-replica-url"))
    expect(added[0]).toContain("gcloud secrets create shop-replica-url ")
    const readers = added.slice(1).map((line) => /serviceAccount:(daybook-\w+)@.*secretAccessor/.exec(line)?.[1])
    expect(readers).toEqual(["daybook-planner", "daybook-worker", "daybook-finalizer"])
    expect(dryRun.split("\n")).toEqual(
      runDry(elsewhere)
        .split("\n")
        .filter((line) => !line.includes("shop-replica-url")),
    )
  })

  it("creates every topic and every account that a role is granted to", async () => {
    for (const topic of Object.values(topics)) expect(dryRun).toContain(`gcloud pubsub topics create ${topic} `)
    for (const { who } of await readGrants()) {
      if (!who.endsWith("-agent")) expect(dryRun).toContain(`gcloud iam service-accounts create daybook-${who} `)
    }
  })

  it("asks for yesterday in the time zone of the revenue day, and for a sweep as its own account", () => {
    const [daily, sweep] = dryRun.split("\n").filter((line) => line.startsWith("gcloud scheduler"))
    expect(splitWords(daily ?? "")).toEqual(
      expect.arrayContaining(['--message-body={"date":"yesterday"}', "--topic=run-requests", "--time-zone=UTC"]),
    )
    expect(splitWords(sweep ?? "")).toEqual(
      expect.arrayContaining([
        "--uri=https://daybook-finalizer-PROJECT_NUMBER.europe-west1.run.app/sweep",
        "--oidc-service-account-email=daybook-scheduler@shop.iam.gserviceaccount.com",
        "--oidc-token-audience=https://daybook-finalizer-PROJECT_NUMBER.europe-west1.run.app",
      ]),
    )
  })

  it("makes placeholders of the image's base, which refuse a push on the port that the program is given", async () => {
    const deploy = dryRun.split("\n").find((line) => line.includes("run deploy daybook-planner")) ?? ""
    const { flags } = parseGcloud(splitWords(deploy.replace(/^.*\|\| /, "")).slice(1))
    const dockerfile = await readFile(join(provision, "../Dockerfile"), "utf8")
    const digest = /^ARG NODE_IMAGE=.*@(sha256:\w+)$/m.exec(dockerfile)?.[1]
    expect(flags).toMatchObject({ image: `mirror.gcr.io/library/node@${digest}`, port: "8080" })
    // gcloud splits it at the character between the circumflexes; the image's entry point is node.
    const [, separator = "", args = ""] = /^\^(.)\^(.*)$/.exec(flags.args ?? "") ?? []
    const port = await findFreePort()
    const placeholder = spawn(process.execPath, args.split(separator), { env: { PORT: String(port) } })
    try {
      const push = () => fetch(`http://127.0.0.1:${port}/run-requests`, { method: "POST", body: "{}" })
      const status = await vi.waitFor(async () => (await push()).status, { timeout: 20_000, interval: 50 })
      expect(status).toBe(503)
    } finally {
      placeholder.kill()
    }
  })

  it("runs the sections that are named, and says which there are", () => {
    const only = (sections: string) =>
      spawnSync("bash", [bootstrap, "--project", "shop", "--dry-run", "--only", sections], { encoding: "utf8" })
    expect(
      only("secrets,dashboard")
        .stdout.split("\n")
        .map((line) => line.split(" ").slice(0, 3).join(" ")),
    ).toEqual([
      "# secrets: they",
      "gcloud secrets describe",
      "gcloud secrets describe",
      "gcloud secrets describe",
      "# dashboard",
      "gcloud monitoring dashboards",
      "# done. Next:",
      "",
    ])
    const unknown = only("secrets,nothing")
    expect([unknown.status, unknown.stdout, unknown.stderr]).toEqual([
      2,
      "",
      expect.stringMatching(/^unknown section: nothing\nusage:.*apis accounts custom-roles/s),
    ])
  })

  it("names everything as the build does", async () => {
    const { substitutions } = await readBuildFile()
    for (const name of [
      "_PLANNER",
      "_FINALIZER",
      "_WORKER",
      "_MIGRATE",
      "_PAGE",
      "_DESK",
      "_NOTIFY",
      "_DATABASE_SECRET",
      "_REPOSITORY",
      "_REGION",
    ]) {
      expect(dryRun).toContain(substitutions[name])
    }
  })
})

describe("roles.txt", () => {
  it("gives a reason for every role, each once", async () => {
    const grants = await readGrants()
    for (const { why } of grants) expect(why).not.toBe("")
    expect(new Set(grants.map(({ on, who, role }) => `${on} ${who} ${role}`)).size).toBe(grants.length)
  })

  it("lets the notifier read one secret and nothing else, and be called by pushes alone", async () => {
    const grants = await readGrants()
    expect(grants.filter(({ who }) => who === "notify").map(({ on, role }) => `${on} ${role}`)).toEqual([
      "notify-secret roles/secretmanager.secretAccessor",
    ])
    expect(grants.filter(({ on }) => on === "notify-secret").map(({ who }) => who)).toEqual(["notify"])
    const onIt = grants.filter(({ on }) => on === "service:notify" || on === "account:notify")
    expect(onIt.map(({ on, who, role }) => `${on} ${who} ${role}`)).toEqual([
      "service:notify push roles/run.invoker",
      "service:notify build roles/run.developer",
      "account:notify build roles/iam.serviceAccountUser",
    ])
  })

  it("gives nobody a role over more than Daybook's own things, but where it says why", async () => {
    const broad = (await readGrants()).filter(({ on }) => on === "project").map(({ who, role }) => `${who} ${role}`)
    expect(broad).toEqual([
      "planner roles/cloudsql.client",
      "planner custom/daybookSubscriptionCreator",
      "planner custom/daybookSubscriptionRemover",
      "planner roles/telemetry.tracesWriter",
      "worker roles/cloudsql.client",
      "worker roles/pubsub.subscriber",
      "worker roles/telemetry.tracesWriter",
      "worker roles/telemetry.metricsWriter",
      "finalizer roles/cloudsql.client",
      "finalizer custom/daybookSubscriptionRemover",
      "finalizer roles/telemetry.tracesWriter",
      "finalizer roles/telemetry.metricsWriter",
      "migrate roles/cloudsql.client",
      "page roles/cloudsql.client",
      "desk roles/cloudsql.client",
      "pubsub-agent roles/pubsub.subscriber",
      "build roles/logging.logWriter",
      "build roles/pubsub.editor",
    ])
    expect((await readGrants()).filter(({ role }) => /admin|owner|roles\/editor/i.test(role))).toEqual([])
  })
})

describe("bootstrap.sh", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "daybook-bootstrap-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Runs it with a gcloud that writes down what it is asked; `found` says whether it knows what it is asked about. */
  async function bootstrapWith(found: boolean): Promise<string[]> {
    const log = join(folder, "log")
    await writeFile(log, "")
    // As of a gcloud that has alert policies in a preview alone.
    const missing = `{ echo "ERROR: (gcloud.x.describe) NOT_FOUND: it was not found." >&2; exit 1; }`
    const answer = `case "$*" in "monitoring policies list --help") exit 1 ;; *" describe "*--format=json) echo '{"run.googleapis.com/iap-enabled":"${found ? "true" : "false"}"}' ;; *" describe "*) ${found ? "echo 42" : missing} ;; *"policies list"*) ${found ? "echo P1" : ":"} ;; *"dashboards list"*) ${found ? "echo D1 E1" : ":"} ;; esac`
    const number = `if [[ "$*" == "projects describe"* ]]; then echo 42; exit; fi`
    await writeFile(join(folder, "gcloud"), `#!/bin/bash\necho "$*" >>"${log}"\n${number}\n${answer}\n`, {
      mode: 0o755,
    })
    execFileSync("bash", [bootstrap, "--project", "shop"], {
      env: { PATH: `${folder}${delimiter}/usr/bin:/bin` },
      stdio: ["ignore", "ignore", "inherit"],
    })
    return (await readFile(log, "utf8")).trimEnd().split("\n")
  }

  it("creates everything in an empty project", async () => {
    const printed = dryRun
      .replaceAll("PROJECT_NUMBER", "42")
      .split("\n")
      .map((line) => line.replace(/^.* \|\| /, ""))
    const created = (await bootstrapWith(false)).filter(isCreate)
    expect(created).toEqual(printed.filter(isCreate).map((line) => splitWords(line).slice(1).join(" ")))
    expect(created.join("\n")).toContain("finalizer-42.europe-west1.run.app/sweep")
  })

  it("creates nothing a second time: roles, schedules and alerts are brought up to date", async () => {
    const calls = await bootstrapWith(true)
    expect(calls.filter(isCreate)).toEqual([
      "beta services identity create --service=pubsub.googleapis.com --project=shop",
      "beta services identity create --service=iap.googleapis.com --project=shop",
    ])
    expect(
      calls.filter((call) => call.includes(" update ")).map((call) => call.split(" ").slice(0, 4).join(" ")),
    ).toEqual([
      "storage buckets update gs://shop-daybook",
      "storage buckets update gs://shop-daybook-build",
      "scheduler jobs update pubsub",
      "scheduler jobs update http",
      ...Array.from({ length: 6 }, () => "alpha monitoring policies update"),
      "monitoring dashboards update D1",
    ])
  })

  it.skipIf(!hasShellcheck)("passes shellcheck (Debian's package shellcheck)", async () => {
    for (const script of (await readdir(provision)).filter((name) => name.endsWith(".sh"))) {
      const text = await readFile(join(provision, script), "utf8")
      // Its variables are the build's substitutions.
      const checked = script === "deploy-settings.sh" ? `#!/bin/bash\n# shellcheck disable=SC2154\n${text}` : text
      expect([script, shellcheck(checked)]).toEqual([script, ""])
    }
  })
})

describe("the alert policies", () => {
  it("are policies with one condition each, that watch what the services log", async () => {
    const files = (await readdir(join(provision, "alerts"))).filter((name) => !name.includes(".metric."))
    expect(files.toSorted()).toEqual([
      "day-late.yaml",
      "dead-letters.yaml",
      "duty-failing.yaml",
      "no-sweep.yaml",
      "notification-refused.yaml",
      "verdict-incomplete.yaml",
    ])
    const sources = [
      "finalizer/verdict/finalize-run.ts",
      "finalizer/sweep.ts",
      "finalizer/duties/watch-deadline.ts",
      "finalizer/duties/duty-book.ts",
      "notify/take-day-change.ts",
    ]
    const logged = (await Promise.all(sources.map((file) => readFile(join(provision, "..", file), "utf8")))).join("")
    for (const file of await readdir(join(provision, "alerts"))) {
      const text = await readFile(join(provision, "alerts", file), "utf8")
      const policy = parse(text) as Record<string, unknown>
      if (!file.includes(".metric.")) {
        expect(policy).toMatchObject({ combiner: "OR", conditions: [expect.any(Object)] })
        expect(dryRun).toContain(`--policy-from-file=alerts/${file}`)
      }
      const message = /jsonPayload\.message="(.*)"/.exec(text)?.[1]
      if (message) expect(logged).toContain(`"${message}"`)
    }
  })
})
