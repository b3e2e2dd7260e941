import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import protobuf from "protobufjs"
import { describe, expect, it } from "vitest"
import { type Gcloud, parseGcloud } from "./gcloud-flags.ts"
import { readBuildFile, runBuild, type StepRun } from "./run-build.ts"
import { hasShellcheck, shellcheck } from "./shellcheck.ts"

const require = createRequire(import.meta.url)
const protos = protobuf.Root.fromJSON(
  JSON.parse(readFileSync(require.resolve("@google-cloud/cloudbuild/build/protos/protos.json"), "utf8")),
)

/** What a value of proto's JSON form has that the message does not: unknown fields, wrong kinds, unknown enum names. */
function findFaults(type: protobuf.Type, value: unknown, path = type.name): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${path} is not a message`]
  return Object.entries(value).flatMap(([name, content]) => {
    const field = type.fields[name]
    const here = `${path}.${name}`
    if (!field) return [`${here} is unknown`]
    field.resolve()
    if (field instanceof protobuf.MapField) {
      return Object.entries(content as object).flatMap(([key, one]) => findFieldFaults(field, one, `${here}.${key}`))
    }
    if (!field.repeated) return findFieldFaults(field, content, here)
    if (!Array.isArray(content)) return [`${here} is not a list`]
    return content.flatMap((one, index) => findFieldFaults(field, one, `${here}[${index}]`))
  })
}

function findFieldFaults(field: protobuf.Field, value: unknown, path: string): string[] {
  const { resolvedType: type } = field
  if (type instanceof protobuf.Enum) return String(value) in type.values ? [] : [`${path}: ${String(value)} is unknown`]
  if (type?.fullName === ".google.protobuf.Duration")
    return /^\d+s$/.test(String(value)) ? [] : [`${path}: ${String(value)}`]
  if (type instanceof protobuf.Type) return findFaults(type, value, path)
  const kind = field.type === "bool" ? "boolean" : field.type === "string" ? "string" : "number"
  return typeof value === kind ? [] : [`${path} is not a ${kind}`]
}

const Build = protos.lookupType("google.devtools.cloudbuild.v1.Build")

describe("cloudbuild.yaml", () => {
  it("is a google.devtools.cloudbuild.v1.Build, without unknown fields", async () => {
    expect(findFaults(Build, await readBuildFile())).toEqual([])
  })

  it("would not pass with a misspelt field, a wrong kind or an unknown option", () => {
    const wrong = {
      steps: [{ id: "a", waitfor: ["-"], script: 1 }],
      timeout: "1h",
      options: { logging: "CLOUD" },
      substitutions: { _A: 10 },
    }
    expect(findFaults(Build, wrong)).toEqual([
      "Build.steps[0].waitfor is unknown",
      "Build.steps[0].script is not a string",
      "Build.timeout: 1h",
      "Build.options.logging: CLOUD is unknown",
      "Build.substitutions._A is not a string",
    ])
  })

  it("uses every substitution that it defines, and defines every one that it uses", async () => {
    const build = await readBuildFile()
    const settings = await readFile(new URL("../../services/provision/deploy-settings.sh", import.meta.url), "utf8")
    const { substitutions, ...rest } = build
    const used = new Set(`${JSON.stringify(rest)}${settings}`.match(/\b_[A-Z][A-Z_]*\b/g))
    expect([...used].toSorted()).toEqual(Object.keys(substitutions).toSorted())
  })

  it("stops every step and the build in time, and logs to Cloud Logging as its own account", async () => {
    const { steps, timeout, options, serviceAccount } = await readBuildFile()
    const inAll = steps.reduce((sum, step) => sum + secondsOf(step.timeout), 0)
    expect(inAll).toBeGreaterThan(0)
    expect(secondsOf(timeout)).toBeGreaterThanOrEqual(inAll / 2)
    expect(options).toMatchObject({ logging: "CLOUD_LOGGING_ONLY", automapSubstitutions: true })
    expect(serviceAccount).toContain("daybook-build@")
  })

  it.skipIf(!hasShellcheck)("has only scripts that pass shellcheck (Debian's package shellcheck)", async () => {
    const { steps } = await readBuildFile()
    for (const { id, script } of steps) expect(`${id}: ${shellcheck(script)}`).toBe(`${id}: `)
    expect(shellcheck("#!/bin/bash\necho $undefined")).toContain("SC2154")
  })
})

describe("a build", () => {
  const usual = runBuild()
  const order = ["check", "image", "migrate", "topology", "worker", "notify", "finalizer", "planner", "page"]

  it("checks, builds, migrates, brings the topology up to date and deploys, in this order", async () => {
    const runs = await usual
    expect(runs.map((run) => [run.id, run.status, run.stderr])).toEqual(order.map((id) => [id, 0, ""]))
    const changes = runs.flatMap(gcloud).filter(({ command }) => /(deploy|execute)$/.test(command))
    expect(changes.map(({ command, names }) => `${command} ${names.join(" ")}`)).toEqual([
      "run jobs deploy daybook-migrate",
      "run jobs execute daybook-migrate",
      "run jobs deploy daybook-worker",
      "run deploy daybook-finalizer",
      "run deploy daybook-planner",
    ])
  })

  it.each([
    ["ci-run", "check"],
    ["docker push", "image"],
    ["execute", "migrate"],
    ["provision/main.ts", "topology"],
    ["jobs deploy daybook-worker", "worker"],
    ["deploy daybook-finalizer", "finalizer"],
  ])("ends where %s fails, and deploys nothing after", async (fails, step) => {
    const runs = await runBuild({}, { fails })
    expect(runs.map((run) => run.id)).toEqual(order.slice(0, order.indexOf(step) + 1))
    expect(runs.at(-1)?.status).not.toBe(0)
  })

  it("deploys one image by its digest, labelled with the commit, each part as its own account", async () => {
    const deployed = (await usual).flatMap(gcloud).filter((call) => call.flags.image !== undefined)
    expect(deployed).toHaveLength(4)
    for (const { flags } of deployed) {
      expect(flags.image).toMatch(/@sha256:[0-9a-f]{64}$/)
      expect(flags.labels).toBe("commit=0123456789abcdef0123456789abcdef01234567")
      expect(flags["set-secrets"]).toBe("DATABASE_URL=daybook-database-url:latest")
    }
    expect(deployed.map(({ flags }) => [flags.args, flags["service-account"]])).toEqual(
      ["migrate", "worker", "finalizer", "planner"].map((part) => [
        `${part}.cjs`,
        `daybook-${part}@shop.iam.gserviceaccount.com`,
      ]),
    )
  })

  it("tells the services whom they may believe, and never opens them", async () => {
    const services = (await usual).flatMap(gcloud).filter((call) => call.command === "run deploy")
    expect(services.map(({ flags }) => readEnv(flags["set-env-vars"]))).toEqual([
      expect.objectContaining({
        PUSH_AUDIENCE: "https://daybook-finalizer-123456789.europe-west1.run.app",
        PUSH_ACCOUNTS: "daybook-push@shop.iam.gserviceaccount.com daybook-scheduler@shop.iam.gserviceaccount.com",
      }),
      expect.objectContaining({
        BUCKET: "shop-daybook",
        WORKER_JOB: "projects/shop/locations/europe-west1/jobs/daybook-worker",
        DATABASE_USER: "daybook-planner",
        PUSH_TOKENS: "trust-cloud-run",
        PUSH_AUDIENCE: "https://daybook-planner-123456789.europe-west1.run.app",
        PUSH_ACCOUNTS: "daybook-push@shop.iam.gserviceaccount.com",
      }),
    ])
    for (const { flags } of services) {
      expect(flags).not.toHaveProperty("allow-unauthenticated")
      expect(flags.ingress).toBe("internal")
    }
  })

  it.each(["allUsers", "allAuthenticatedUsers"])("does not deploy a service that %s may call", async (member) => {
    const policy = JSON.stringify({ bindings: [{ members: [member], role: "roles/run.invoker" }] })
    const last = (await runBuild({}, { policy })).at(-1)
    expect(last).toMatchObject({ id: "finalizer", status: 1 })
    expect(last?.stderr).toContain("daybook-finalizer may be called by anybody")
    expect(last?.commands.flat()).not.toContain("deploy")
  })

  it("names Cloud SQL and a network only where there are such", async () => {
    const without = (await usual).flatMap(gcloud).filter((call) => call.flags.image !== undefined)
    for (const { flags } of without) {
      expect(readEnv(flags["set-env-vars"])).not.toHaveProperty("CLOUD_SQL_INSTANCE")
      expect(flags).not.toHaveProperty("network")
    }
    const given = { _CLOUD_SQL_INSTANCE: "shop:europe-west1:main", _NETWORK: "default/europe" }
    const within = (await runBuild(given)).flatMap(gcloud).filter((call) => call.flags.image !== undefined)
    for (const { flags } of within) {
      expect(readEnv(flags["set-env-vars"])).toHaveProperty("CLOUD_SQL_INSTANCE", "shop:europe-west1:main")
      expect(flags).toMatchObject({ network: "default", subnet: "europe" })
    }
  })

  it("reads the shop elsewhere only where that is named, in the parts that read it", async () => {
    const replica = "shop:europe-west1:replica"
    const given = { _SOURCE_DATABASE_SECRET: "shop-replica-url", _SOURCE_CLOUD_SQL_INSTANCE: replica }
    const secrets = "DATABASE_URL=daybook-database-url:latest"
    for (const [runs, source] of [[await usual, false] as const, [await runBuild(given), true] as const]) {
      expect(runs.map(({ status }) => status)).toEqual(order.map(() => 0))
      const [migrate, ...readers] = runs.flatMap(gcloud).filter((call) => call.flags.image !== undefined)
      expect(migrate?.flags["set-secrets"]).toBe(secrets)
      expect(readEnv(migrate?.flags["set-env-vars"])).not.toHaveProperty("SOURCE_CLOUD_SQL_INSTANCE")
      for (const { flags } of readers) {
        expect(flags["set-secrets"]).toBe(source ? `${secrets},SOURCE_DATABASE_URL=shop-replica-url:latest` : secrets)
        expect(readEnv(flags["set-env-vars"]).SOURCE_CLOUD_SQL_INSTANCE).toBe(source ? replica : undefined)
      }
    }
  })

  it("has traces and metrics exported only where an endpoint is named, by the parts that make them", async () => {
    const endpoint = "https://telemetry.googleapis.com"
    for (const [runs, tracing] of [
      [await usual, {}] as const,
      [
        await runBuild({ _TRACES_ENDPOINT: endpoint }),
        { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
      ] as const,
      [
        await runBuild({ _METRICS_ENDPOINT: endpoint }),
        {
          OTEL_METRICS_EXPORTER: "otlp",
          OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${endpoint}/v1/metrics`,
          OTEL_RESOURCE_ATTRIBUTES: "cloud.region=europe-west1",
        },
      ] as const,
    ]) {
      const deployed = runs.flatMap(gcloud).filter((call) => call.flags.image !== undefined)
      const settings = deployed.map(({ flags }) => Object.entries(readEnv(flags["set-env-vars"])))
      const exported = settings.map((env) => Object.fromEntries(env.filter(([name]) => name.startsWith("OTEL_"))))
      expect(exported).toEqual([{}, tracing, tracing, tracing])
    }
  })

  it("has reading wait for a busy shop only where that is set, in the parts that read whole days", async () => {
    const given = { _THROTTLE_THREADS_RUNNING: "20", _THROTTLE_QUERY: "SELECT busy FROM load_now" }
    const throttle = {
      THROTTLE_THREADS_RUNNING: "20",
      THROTTLE_QUERY: "SELECT busy FROM load_now",
      THROTTLE_MINUTES_MAX: "30",
    }
    for (const [runs, set] of [[await usual, {}] as const, [await runBuild(given), throttle] as const]) {
      const deployed = runs.flatMap(gcloud).filter((call) => call.flags.image !== undefined)
      const settings = deployed.map(({ flags }) => Object.entries(readEnv(flags["set-env-vars"])))
      const throttled = settings.map((env) => Object.fromEntries(env.filter(([name]) => name.startsWith("THROTTLE_"))))
      expect(throttled).toEqual([{}, set, set, {}])
    }
    const refused = (await runBuild({ _THROTTLE_QUERY: "SELECT GREATEST(a, b) FROM t" })).at(-1)
    expect(refused).toMatchObject({ id: "migrate", status: 1 })
    expect(refused?.stderr).toContain("_THROTTLE_QUERY holds a comma")
  })

  it("deploys the page only where its account is named: one that may look, one that may ask, both behind IAP", async () => {
    expect((await usual).at(-1)).toMatchObject({ id: "page", status: 0, commands: [] })
    const given = { _PAGE_DATABASE_SECRET: "daybook-page-database-url", _DEADLINE: "06:00", _CONNECTION_BUDGET: "41" }
    const [page, desk, ...rest] = ((await runBuild(given)).at(-1) as StepRun).commands
      .map(([, ...words]) => parseGcloud(words))
      .filter(({ command }) => command === "run deploy")
    expect(rest).toEqual([])
    for (const [call, part, actions] of [
      [page, "page", "none"],
      [desk, "desk", "publish"],
    ] as const) {
      expect(call).toMatchObject({
        names: [`daybook-${part}`],
        flags: {
          args: "page.cjs",
          ingress: "all",
          "max-instances": "1",
          "service-account": `daybook-${part}@shop.iam.gserviceaccount.com`,
          "set-secrets": "DATABASE_URL=daybook-page-database-url:latest",
        },
      })
      expect(call?.flags).not.toHaveProperty("allow-unauthenticated")
      expect(readEnv(call?.flags["set-env-vars"])).toMatchObject({
        PAGE_ACTIONS: actions,
        IAP_AUDIENCE: `/projects/123456789/locations/europe-west1/services/daybook-${part}`,
        DATABASE_USER: `daybook-${part}`,
        DEADLINE: "06:00",
      })
    }
    expect((await runBuild({ _PAGE_DATABASE_SECRET: "url" })).at(-1)?.stderr).toContain("41 connections")
  })

  it("deploys the notifier only where its secret is named: it gets that and nothing of the database", async () => {
    const runs = await usual
    expect(runs.find(({ id }) => id === "notify")).toMatchObject({ status: 0, commands: [] })
    expect(runs.find(({ id }) => id === "topology")?.commands.flat()).not.toContain("--notify-url")
    const url = "https://chat.example/hooks/1?a=1,2&b=3"
    const given = {
      _NOTIFY_SECRET: "daybook-notify-secret",
      _NOTIFY_URL: url,
      _NETWORK: "default/europe",
      _PAGE_DATABASE_SECRET: "url",
      _CONNECTION_BUDGET: "41",
    }
    const notifying = await runBuild(given)
    const address = "https://daybook-notify-123456789.europe-west1.run.app"
    const topology = notifying.find(({ id }) => id === "topology")?.commands.flat() ?? []
    expect(topology[topology.indexOf("--notify-url") + 1]).toBe(address)
    const deployed = notifying.flatMap(gcloud).filter(({ names }) => names.includes("daybook-notify"))
    const [call, ...more] = deployed.filter(({ command }) => command === "run deploy")
    expect(more).toEqual([])
    expect(call?.flags).toMatchObject({
      args: "notify.cjs",
      ingress: "internal",
      "service-account": "daybook-notify@shop.iam.gserviceaccount.com",
      "set-secrets": "NOTIFY_SECRETS=daybook-notify-secret:latest",
    })
    expect(call?.flags).not.toHaveProperty("allow-unauthenticated")
    expect(call?.flags).not.toHaveProperty("network")
    expect(call?.flags).toMatchObject({ command: "", "clear-volumes": "", "clear-network": "", port: "8080" })
    const [, delimiter, ...pairs] = call?.flags["set-env-vars"]?.split(/[\^|]/) ?? []
    expect([delimiter, pairs.shift()]).toEqual(["", ""])
    expect(pairs).toEqual([
      "LOG_LEVEL=info",
      "GOOGLE_CLOUD_PROJECT=shop",
      "NOTIFY_FORMAT=cloudevents",
      "NOTIFY_STATES=late,held,incomplete,drifted",
      `NOTIFY_URL=${url}`,
      "PAGE_URL=https://daybook-page-123456789.europe-west1.run.app",
      "PUSH_TOKENS=trust-cloud-run",
      `PUSH_AUDIENCE=${address}`,
      "PUSH_ACCOUNTS=daybook-push@shop.iam.gserviceaccount.com",
    ])
    const [within] = (await runBuild({ ...given, _NOTIFY_ALLOW_PRIVATE: "1" }))
      .flatMap(gcloud)
      .filter(({ command, names }) => command === "run deploy" && names.includes("daybook-notify"))
    expect(within?.flags).toMatchObject({ network: "default", subnet: "europe" })
    expect(within?.flags["set-env-vars"]).toMatch(/\|NOTIFY_ALLOW_PRIVATE=1$/)
  })

  it("does not deploy a page that Identity-Aware Proxy is not in front of, and names the command that puts it there", async () => {
    const given = { _PAGE_DATABASE_SECRET: "daybook-page-database-url", _CONNECTION_BUDGET: "41" }
    const last = (await runBuild(given, { service: '{"metadata":{"annotations":{}}}' })).at(-1)
    expect(last).toMatchObject({ id: "page", status: 1 })
    expect(last?.stderr).toContain("Error: daybook-page is not behind Identity-Aware Proxy")
    expect(last?.stderr).toContain("bootstrap.sh --project shop --region europe-west1 --only iap")
    expect(last?.commands.flat()).not.toContain("deploy")
  })

  it("mentions all that decides which program starts, and what it sees, so that nothing of it stays", async () => {
    const deployed = (await usual).flatMap(gcloud).filter((call) => call.flags.image !== undefined)
    for (const { command, flags } of deployed) {
      expect(flags).toMatchObject({ command: "", "clear-volumes": "", "clear-volume-mounts": "", "clear-network": "" })
      const served = { port: "8080", "startup-probe": "", "liveness-probe": "", "no-use-http2": "" }
      if (command === "run deploy") expect(flags).toMatchObject(served)
    }
  })

  it("reports a base image that is not the newest of its tag, and deploys all the same", async () => {
    const image = (await usual).find(({ id }) => id === "image")
    const [pull, inspect] = image?.commands ?? []
    const tag = `node:${process.versions.node}-bookworm-slim`
    expect(pull).toEqual(["docker", "pull", "--quiet", tag])
    expect(inspect?.at(-1)).toBe(tag)
    expect(image?.stdout).toContain("Warning: the base image is not the newest of")
  })

  it("ends before anything else when it could need more connections than the database can spare", async () => {
    const [check, ...rest] = await runBuild({ _PARALLELISM: "100" })
    expect(check).toMatchObject({ id: "check", status: 1, commands: [] })
    expect(check?.stderr).toContain("217 connections, more than the _CONNECTION_BUDGET of 40")
    expect(rest).toEqual([])
  })
})

function gcloud(run: StepRun): Gcloud[] {
  return run.commands.filter(([tool]) => tool === "gcloud").map(([, ...words]) => parseGcloud(words))
}

function secondsOf(text: unknown): number {
  return Number(/^(\d+)s$/.exec(String(text))?.[1])
}

function readEnv(text = ""): Record<string, string> {
  return Object.fromEntries(
    text.split(",").map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  )
}
