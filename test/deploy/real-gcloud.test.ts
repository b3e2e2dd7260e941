import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parse } from "yaml"
import { type ControlPlane, type Json, PROJECT, startControlPlane } from "./control-plane.ts"
import { readRealTree } from "./make-gcloud-flags.ts"
import { runBuild } from "./run-build.ts"

/*
 * The bootstrap and the build by the real gcloud, on a control plane that keeps what it is given. It takes minutes, as every
 * command of gcloud takes a second: `npm run test:gcloud`, and not with all other tests.
 */

const gcloud = "/usr/bin/gcloud"
const isWanted = process.env["TEST_REAL_GCLOUD"] !== undefined && readRealTree() !== undefined

let cloud: ControlPlane
let folder: string
let env: Record<string, string>
/** A call that is refused, once. */
let refused: RegExp | undefined

async function bootstrap(): Promise<{ code: number | null; output: string }> {
  const script = new URL("../../services/provision/bootstrap.sh", import.meta.url).pathname
  const child = spawn("bash", [script, "--project", PROJECT], { env, stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()))
  const [code] = (await once(child, "close")) as [number | null]
  return { code, output }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-gcloud-"))
  cloud = await startControlPlane((call) => {
    if (!refused?.test(call)) return false
    refused = undefined
    return true
  })
  // Daybook is not alone in its project.
  for (const kind of ["alertPolicies", "dashboards"]) {
    const name = `projects/${PROJECT}/${kind}/others`
    cloud.resources.set(`monitoring/${kind}/others`, { name, displayName: "Somebody else's", etag: "1" })
  }
  await writeFile(join(folder, "token"), "token")
  env = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: folder,
    CLOUDSDK_CONFIG: join(folder, "gcloud"),
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, "token"),
    ...cloud.env,
  }
})
afterAll(async () => {
  await cloud?.stop()
  await rm(folder, { recursive: true, force: true })
})

interface Grant {
  on: string
  who: string
  role: string
}

async function readGrants(): Promise<Grant[]> {
  const text = await readFile(new URL("../../services/provision/roles.txt", import.meta.url), "utf8")
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"))
  return lines.map((line) => {
    const [on = "", who = "", role = ""] = line.split("|").map((cell) => cell.trim())
    return { on, who, role }
  })
}

/** What has to do with the clock or with how often something was written, left out. */
const stable = (json: unknown) =>
  JSON.parse(
    JSON.stringify(json, (key, value: unknown) =>
      /^(etag|generation|metageneration|resourceVersion)$/.test(key) ? undefined : value,
    ),
  ) as unknown

describe.skipIf(!isWanted)("by the real gcloud", { timeout: 900_000 }, () => {
  test("the bootstrap that is refused in its middle goes on when it is run again, and comes to its end", async () => {
    for (const call of [/POST iam.*serviceAccounts$/, /POST run\/.*:setIamPolicy/, /POST monitoring.*dashboards/]) {
      refused = call
      const { code, output } = await bootstrap()
      expect(code).not.toBe(0)
      expect(output).toContain("refused this once")
    }
    const { code, output } = await bootstrap()
    expect(output.split("\n").slice(-3).join("\n")).toContain("done. Next:")
    expect(code).toBe(0)
  })

  test("what is there then are the bindings of roles.txt, all of them and no other, and nothing is public", async () => {
    const accounts: Record<string, string> = {
      "pubsub-agent": "service-123456789@gcp-sa-pubsub.iam.gserviceaccount.com",
      "iap-agent": "service-123456789@gcp-sa-iap.iam.gserviceaccount.com",
    }
    const secrets: Record<string, string> = {
      secret: "secret:daybook-database-url",
      "page-secret": "secret:daybook-page-database-url",
      "notify-secret": "secret:daybook-notify-secret",
    }
    const wanted = (await readGrants())
      .filter(({ on }) => on !== "source-secret")
      .map(({ on, who, role }) => {
        const account = accounts[who] ?? `daybook-${who}@shop.iam.gserviceaccount.com`
        return `${secrets[on] ?? on} ${role.replace("custom/", "projects/shop/roles/")} serviceAccount:${account}`
      })
    const found = [...cloud.bindings()].flatMap(([on, bindings]) =>
      bindings.flatMap(({ role, members }) => members.map((member) => `${on} ${role} ${member}`)),
    )
    expect(found.toSorted()).toEqual(wanted.toSorted())
    expect(JSON.stringify(found)).not.toMatch(/allUsers|allAuthenticatedUsers/)
    expect(cloud.resources.get("storage/shop-daybook")).toMatchObject({
      iamConfiguration: { publicAccessPrevention: "enforced", uniformBucketLevelAccess: { enabled: true } },
      versioning: { enabled: true },
    })
  })

  test("each alert policy and the dashboard arrive with all that their files say", async () => {
    const provision = new URL("../../services/provision/", import.meta.url).pathname
    const stored = [...cloud.resources]
      .filter(([name]) => name.startsWith("monitoring/"))
      .map(([, resource]) => resource)
    const files = (await readdir(join(provision, "alerts"))).filter((name) => !name.includes(".metric."))
    for (const file of [...files.map((name) => `alerts/${name}`), "dashboard.yaml"]) {
      const said = parse(await readFile(join(provision, file), "utf8")) as Json
      const arrived = stored.find(({ displayName }) => displayName === said["displayName"])
      expect(arrived).toMatchObject(said)
    }
    const metric = parse(await readFile(join(provision, "alerts/sweeps.metric.yaml"), "utf8")) as Json
    expect(cloud.resources.get("logging/daybook_sweeps")).toMatchObject(metric)
  })

  test("a second time nothing changes", async () => {
    const before = stable([...cloud.resources])
    const bindings = cloud.bindings()
    const from = cloud.changes.length
    expect((await bootstrap()).code).toBe(0)
    expect(stable([...cloud.resources])).toEqual(before)
    expect(cloud.bindings()).toEqual(bindings)
    // Services enabled and agents asked for again are as they were; all else was updated, and nothing made.
    const made = cloud.changes
      .slice(from)
      .filter((call) => /^(POST|PUT) /.test(call) && !/IamPolicy|\/iam$|batchEnable|generateServiceIdentity/.test(call))
    expect(made).toEqual([])
  })

  test("the build deploys on it what it says: image, account, secrets, settings, ingress", async () => {
    const given = {
      _PAGE_DATABASE_SECRET: "daybook-page-database-url",
      _CONNECTION_BUDGET: "41",
      _DEADLINE: "06:00",
      _NOTIFY_SECRET: "daybook-notify-secret",
      _NOTIFY_URL: "https://chat.example/hooks/1?a=1,2&b=3",
    }
    // The tools that stand in for the others are found first.
    const { PATH: _, ...rest } = env
    const runs = await runBuild(given, { gcloud, env: rest })
    expect(runs.map(({ id, status, stderr }) => [id, status, status === 0 ? "" : stderr])).toEqual(
      ["check", "image", "migrate", "topology", "worker", "notify", "finalizer", "planner", "page"].map((id) => [
        id,
        0,
        "",
      ]),
    )
    for (const part of ["finalizer", "planner", "page", "desk"]) {
      const text = JSON.stringify(cloud.resources.get(`run/services/daybook-${part}`))
      expect(text).toContain(`"serviceAccountName":"daybook-${part}@shop.iam.gserviceaccount.com"`)
      expect(text).toMatch(/"image":"europe-west1-docker\.pkg\.dev\/shop\/daybook\/daybook@sha256:[0-9a-f]{64}"/)
      const isPage = part === "page" || part === "desk"
      expect(text).toContain(`"run.googleapis.com/ingress":"${isPage ? "all" : "internal"}"`)
      expect(text).toContain(isPage ? '"name":"daybook-page-database-url"' : '"name":"daybook-database-url"')
      if (isPage) expect(text).toContain('"run.googleapis.com/iap-enabled":"true"')
      expect(text).toContain(part === "planner" ? '"name":"TASKS_MAX"' : '"name":"DEADLINE","value":"06:00"')
    }
    const notify = JSON.stringify(cloud.resources.get("run/services/daybook-notify"))
    expect(notify).toContain('"name":"NOTIFY_URL","value":"https://chat.example/hooks/1?a=1,2&b=3"')
    expect(notify).toContain('"name":"NOTIFY_STATES","value":"late,held,incomplete,drifted"')
    expect(notify).toContain('"name":"daybook-notify-secret"')
    expect(notify).not.toContain("daybook-database-url")
    const worker = JSON.stringify(cloud.resources.get("run/jobs/daybook-worker"))
    expect(worker).toContain('"taskCount":10')
    expect(worker).toContain('"serviceAccountName":"daybook-worker@shop.iam.gserviceaccount.com"')
    expect(cloud.resources.has("run/executions/daybook-migrate-abcde")).toBe(true)
  })
})
