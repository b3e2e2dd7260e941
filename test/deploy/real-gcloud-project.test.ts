import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parse } from "yaml"
import { type Json, PROJECT } from "./control-plane.ts"
import {
  bootstrap,
  GCLOUD,
  isWanted,
  openSteps,
  type RealGcloud,
  readSections,
  type Steps,
  startRealGcloud,
} from "./real-gcloud.ts"
import { runBuild } from "./run-build.ts"

/* The bootstrap and the build by the real gcloud, section by section. */

// The section of the roles is 80 commands, of two calls each; 5 s a command on a machine that is busy.
const STEP_MS_MAX = 600_000
// With what gcloud would end a value at.
const NOTIFY_URL = "https://chat.example/hooks/1?a=1,2&b=3"
const denied = { code: 403, status: "PERMISSION_DENIED", message: "refused this once" }

const sections = await readSections()
let real: RealGcloud
let steps: Steps
let failed = false

beforeAll(async () => {
  if (!isWanted) return
  real = await startRealGcloud()
  steps = await openSteps()
  // Daybook is not alone in its project.
  for (const kind of ["alertPolicies", "dashboards"]) {
    const name = `projects/${PROJECT}/${kind}/others`
    real.cloud.resources.set(`monitoring/${kind}/others`, { name, displayName: "Somebody else's", etag: "1" })
  }
})
afterAll(async () => {
  await real?.stop()
  if (!failed) await steps?.forget()
})

/** What has to do with the clock or with how often something was written, left out. */
const stable = (json: unknown) =>
  JSON.parse(
    JSON.stringify(json, (key, value: unknown) =>
      /^(etag|generation|metageneration|resourceVersion)$/.test(key) ? undefined : value,
    ),
  ) as unknown

/** A step whose result is kept. One that needs an earlier step that failed says so. */
async function step(name: string, run: () => Promise<void>): Promise<void> {
  if (failed) throw new Error("A step before this one failed: run the tests again, they go on there.")
  failed = true
  await steps.take(name, real.cloud, run)
  failed = false
}

describe.skipIf(!isWanted)("by the real gcloud", { timeout: STEP_MS_MAX }, () => {
  test.for(sections)(
    "the section %s comes to its end, also when it is refused something and run again",
    (section, { signal }) =>
      step(`first-${section}`, async () => {
        const call = refusedIn[section]
        if (call) {
          real.refuse(call, denied)
          const { code, output } = await bootstrap(section, real.env, signal)
          expect([code, output]).toEqual([1, expect.stringContaining("refused this once")])
        }
        const { code, output } = await bootstrap(section, real.env, signal)
        expect([code, output.trim().split("\n").at(-1)]).toEqual([0, expect.stringContaining("done. Next:")])
      }),
  )

  test("what is there then are the bindings of roles.txt, all of them and no other, and nothing is public", async () => {
    const text = await readFile(new URL("../../services/provision/roles.txt", import.meta.url), "utf8")
    const accounts: Record<string, string> = {
      "pubsub-agent": "service-123456789@gcp-sa-pubsub.iam.gserviceaccount.com",
      "iap-agent": "service-123456789@gcp-sa-iap.iam.gserviceaccount.com",
    }
    const names: Record<string, string> = {
      secret: "secret:daybook-database-url",
      "page-secret": "secret:daybook-page-database-url",
      "notify-secret": "secret:daybook-notify-secret",
      bucket: "bucket:shop-daybook",
      "build-bucket": "bucket:shop-daybook-build",
    }
    const wanted = text.split("\n").flatMap((line) => {
      const [on = "", who = "", role = ""] = line.split("|").map((cell) => cell.trim())
      if (!who || on.startsWith("#") || on === "source-secret") return []
      const account = accounts[who] ?? `daybook-${who}@shop.iam.gserviceaccount.com`
      return [`${names[on] ?? on} ${role.replace("custom/", "projects/shop/roles/")} serviceAccount:${account}`]
    })
    const found = [...real.cloud.bindings()].flatMap(([on, bindings]) =>
      bindings.flatMap(({ role, members }) => members.map((member) => `${on} ${role} ${member}`)),
    )
    expect(found.toSorted()).toEqual(wanted.toSorted())
    expect(JSON.stringify(found)).not.toMatch(/allUsers|allAuthenticatedUsers/)
  })

  test("both buckets are closed to the public and have no soft delete, and images are cleaned up", () => {
    for (const name of ["shop-daybook", "shop-daybook-build"])
      expect(real.cloud.resources.get(`storage/${name}`)).toMatchObject({
        iamConfiguration: { publicAccessPrevention: "enforced", uniformBucketLevelAccess: { enabled: true } },
        softDeletePolicy: { retentionDurationSeconds: "0" },
        lifecycle: { rule: expect.any(Array) },
      })
    expect(real.cloud.resources.get("storage/shop-daybook")).toMatchObject({ versioning: { enabled: true } })
    expect(real.cloud.resources.get("artifactregistry/daybook")).toMatchObject({
      cleanupPolicies: { "keep-newest": { action: "Keep" }, "delete-old": { condition: { olderThan: "7776000.0s" } } },
    })
  })

  test("each alert policy and the dashboard arrive with all that their files say", async () => {
    const provision = new URL("../../services/provision/", import.meta.url).pathname
    const stored = [...real.cloud.resources]
      .filter(([name]) => name.startsWith("monitoring/"))
      .map(([, resource]) => resource)
    const files = (await readdir(join(provision, "alerts"))).filter((name) => !name.includes(".metric."))
    for (const file of [...files.map((name) => `alerts/${name}`), "dashboard.yaml"]) {
      const said = parse(await readFile(join(provision, file), "utf8")) as Json
      expect(stored.find(({ displayName }) => displayName === said["displayName"])).toMatchObject(said)
    }
    const metric = parse(await readFile(join(provision, "alerts/sweeps.metric.yaml"), "utf8")) as Json
    expect(real.cloud.resources.get("logging/daybook_sweeps")).toMatchObject(metric)
  })

  test("a bucket that was there before, open and with soft delete, is closed", ({ signal }) =>
    step("bucket", async () => {
      Object.assign(real.cloud.resources.get("storage/shop-daybook") ?? {}, {
        iamConfiguration: { publicAccessPrevention: "inherited", uniformBucketLevelAccess: { enabled: false } },
        softDeletePolicy: { retentionDurationSeconds: "604800" },
      })
      expect((await bootstrap("bucket", real.env, signal)).code).toBe(0)
      expect(real.cloud.resources.get("storage/shop-daybook")).toMatchObject({
        iamConfiguration: { publicAccessPrevention: "enforced", uniformBucketLevelAccess: { enabled: true } },
        softDeletePolicy: { retentionDurationSeconds: "0" },
      })
    }))

  test("the build deploys on it what it says, over whatever somebody has set by hand", ({ signal }) =>
    step("build", async () => {
      for (const part of ["planner", "finalizer", "page", "desk", "notify"]) meddle(`run/services/daybook-${part}`)
      const given = {
        _PAGE_DATABASE_SECRET: "daybook-page-database-url",
        _CONNECTION_BUDGET: "41",
        _DEADLINE: "06:00",
        _NOTIFY_SECRET: "daybook-notify-secret",
        _NOTIFY_URL: NOTIFY_URL,
      }
      // The tools that stand in for the others are found first.
      const { PATH: _, ...rest } = real.env
      const runs = await runBuild(given, { gcloud: GCLOUD, env: rest, signal })
      expect(runs.map(({ id, status, stderr }) => [id, status, status === 0 ? "" : stderr])).toEqual(
        ["check", "image", "migrate", "topology", "worker", "notify", "finalizer", "planner", "page"].map((id) => [
          id,
          0,
          "",
        ]),
      )
    }))

  test("each service is what the build says: image, account, secrets, settings, ingress", () => {
    for (const part of ["finalizer", "planner", "page", "desk"]) {
      const text = JSON.stringify(real.cloud.resources.get(`run/services/daybook-${part}`))
      expect(text).toContain(`"serviceAccountName":"daybook-${part}@shop.iam.gserviceaccount.com"`)
      expect(text).toMatch(/"image":"europe-west1-docker\.pkg\.dev\/shop\/daybook\/daybook@sha256:[0-9a-f]{64}"/)
      const isPage = part === "page" || part === "desk"
      expect(text).toContain(`"run.googleapis.com/ingress":"${isPage ? "all" : "internal"}"`)
      expect(text).toContain(isPage ? '"name":"daybook-page-database-url"' : '"name":"daybook-database-url"')
      if (isPage) expect(text).toContain('"run.googleapis.com/iap-enabled":"true"')
      expect(text).toContain(part === "planner" ? '"name":"TASKS_MAX"' : '"name":"DEADLINE","value":"06:00"')
      expect(text).toContain('"containerPort":8080')
      expect(text).not.toMatch(/by-hand|network-interfaces|livenessProbe|"command":\["/)
      // What is about cost and scale and not the build's stays: see "What a deploy keeps" in services/provision/README.md.
      expect(text).toContain('"autoscaling.knative.dev/minScale":"1"')
    }
    const notify = JSON.stringify(real.cloud.resources.get("run/services/daybook-notify"))
    expect(notify).toContain(`"name":"NOTIFY_URL","value":"${NOTIFY_URL}"`)
    expect(notify).toContain('"name":"NOTIFY_STATES","value":"late,held,incomplete,drifted"')
    expect(notify).toContain('"name":"daybook-notify-secret"')
    expect(notify).toContain('"containerPort":8080')
    expect(notify).not.toMatch(/daybook-database-url|by-hand|network-interfaces|livenessProbe|"command":\["/)
    const worker = JSON.stringify(real.cloud.resources.get("run/jobs/daybook-worker"))
    expect(worker).toContain('"taskCount":10')
    expect(worker).toContain('"serviceAccountName":"daybook-worker@shop.iam.gserviceaccount.com"')
    expect(real.cloud.resources.has("run/executions/daybook-migrate-abcde")).toBe(true)
  })

  test("a question that is refused puts no placeholder over what the build has deployed", ({ signal }) =>
    step("refused", async () => {
      const before = stable([...real.cloud.resources])
      real.refuse(/GET run\/.*\/services\/daybook-planner$/, denied)
      const { code, output } = await bootstrap("placeholders", real.env, signal)
      expect([code, output]).toEqual([1, expect.stringContaining("nothing was created")])
      expect(stable([...real.cloud.resources])).toEqual(before)
    }))

  test.for(sections)("a second time the section %s changes nothing", (section, { signal }) =>
    step(`again-${section}`, async () => {
      const before = stable([...real.cloud.resources])
      const bindings = real.cloud.bindings()
      const from = real.cloud.changes.length
      expect((await bootstrap(section, real.env, signal)).code).toBe(0)
      expect(stable([...real.cloud.resources])).toEqual(before)
      expect(real.cloud.bindings()).toEqual(bindings)
      // Services enabled and agents asked for again are as they were; all else was updated, and nothing made.
      const made = real.cloud.changes
        .slice(from)
        .filter(
          (call) => /^(POST|PUT) /.test(call) && !/IamPolicy|\/iam$|batchEnable|generateServiceIdentity/.test(call),
        )
      expect(made).toEqual([])
    }),
  )
})

/** A call of a section that is refused once; for the others see real-gcloud-refusals.test.ts. */
const refusedIn: Record<string, RegExp> = {
  accounts: /POST iam.*serviceAccounts$/,
  placeholders: /POST run\/.*\/services$/,
  roles: /POST secretmanager\/.*:setIamPolicy/,
  dashboard: /POST monitoring.*dashboards/,
}

/** Sets what Cloud Run keeps when a deploy does not mention it. */
function meddle(name: string): void {
  const service = real.cloud.resources.get(name) as { spec: { template: Template } }
  const { metadata, spec } = service.spec.template
  Object.assign((metadata.annotations ??= {}), {
    "run.googleapis.com/network-interfaces": '[{"network":"by-hand","subnetwork":"by-hand"}]',
    "autoscaling.knative.dev/minScale": "1",
  })
  spec["volumes"] = [{ name: "by-hand", emptyDir: { medium: "Memory" } }]
  const [container = {}] = spec.containers
  Object.assign(container, {
    ports: [{ name: "h2c", containerPort: 80 }],
    command: ["/by-hand"],
    env: [{ name: "BY_HAND", value: "by-hand" }],
    volumeMounts: [{ name: "by-hand", mountPath: "/by-hand" }],
    livenessProbe: { httpGet: { path: "/by-hand" } },
    startupProbe: { httpGet: { path: "/by-hand" } },
  })
}

interface Template {
  metadata: { annotations?: Json }
  spec: Json & { containers: Json[] }
}
