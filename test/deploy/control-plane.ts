import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"

/*
 * Google Cloud's control plane as far as the bootstrap and the build ask it, for the real gcloud, which finds it as its
 * proxy. It keeps what it is given, by the addresses of Google's APIs, and refuses what Google would refuse whatever the
 * kind: a parent that is not there, a second one of a name, an etag that is not the newest, a role for an account or a
 * resource that does not exist. That fields and types are Google's own, gcloud sees to by its message definitions.
 */

export type Json = { [name: string]: unknown }

export interface ControlPlane {
  /** What gcloud needs in its environment. */
  env: Record<string, string>
  /** What is there, by API and name, such as `run/services/daybook-planner`. */
  resources: Map<string, Json>
  /** The members of each role, by what it is on: `project`, `bucket:NAME`, `topic:run-requests` … */
  bindings(): Map<string, { role: string; members: string[] }[]>
  /** Calls that have changed something: method and address. */
  changes: string[]
  enabled: Set<string>
  /** All that is there, to be put there again. */
  save(): string
  restore(saved: string): void
  stop(): Promise<void>
}

/** How a call is refused before anything is done: by an answer, or by an end of the connection. */
export type Failure = { code: number; status: string; message: string } | "reset"

interface Policy {
  version?: number
  etag: string
  bindings: { role: string; members: string[] }[]
}

class Refusal extends Error {
  readonly code: number
  readonly status: string
  constructor(code: number, status: string, message: string) {
    super(message)
    this.code = code
    this.status = status
  }
}

const notFound = (what: string) => new Refusal(404, "NOT_FOUND", `${what} was not found.`)
const alreadyThere = (what: string) => new Refusal(409, "ALREADY_EXISTS", `${what} already exists.`)
const invalid = (message: string) => new Refusal(400, "INVALID_ARGUMENT", message)
const aborted = (message: string) => new Refusal(409, "ABORTED", message)

const apis = ["serviceusage", "cloudresourcemanager", "iam", "artifactregistry", "secretmanager", "pubsub", "run"]
const allApis = [...apis, "cloudscheduler", "logging", "monitoring", "storage"]

export const PROJECT = "shop"
const NUMBER = "123456789"
const REGION = "europe-west1"

/** Starts one with an empty project in it. `fails` may refuse a call, such as `GET run/apis/…`. */
export async function startControlPlane(
  fails: (call: string) => Failure | undefined = () => undefined,
): Promise<ControlPlane> {
  const resources = new Map<string, Json>()
  const policies = new Map<string, Policy>()
  const enabled = new Set<string>()
  const changes: string[] = []
  let etags = 0
  const newEtag = () => Buffer.from(`etag-${++etags}`).toString("base64")
  const demand = (name: string): Json => {
    const found = resources.get(name)
    if (!found) throw notFound(name)
    return found
  }
  const create = (name: string, resource: Json): Json => {
    if (resources.has(name)) throw alreadyThere(name)
    resources.set(name, resource)
    return resource
  }

  /** Reads and writes the policy of what is at a name, which must be there. */
  function policy(name: string, verb: string, body: Json): Json {
    const known = policies.get(name) ?? { version: 1, etag: newEtag(), bindings: [] }
    policies.set(name, known)
    if (verb === "get") return known as unknown as Json
    const given = body["policy"] as Policy
    if (given.etag !== known.etag) throw aborted("There were concurrent policy changes: the etag is not the newest.")
    for (const { role, members } of given.bindings) {
      if (role.startsWith("projects/")) demand(`iam/${role}`)
      else if (!/^roles\/[a-z][\w.]+$/.test(role)) throw invalid(`Role ${role} is not supported for this resource.`)
      for (const member of members) checkMember(member)
    }
    const stored = { version: 1, etag: newEtag(), bindings: given.bindings.filter(({ members }) => members.length > 0) }
    policies.set(name, stored)
    return stored
  }

  function checkMember(member: string): void {
    const [, email = ""] = /^serviceAccount:(.+)$/.exec(member) ?? []
    const [, agent] = /^service-123456789@gcp-sa-(\w+)\.iam\.gserviceaccount\.com$/.exec(email) ?? []
    const isThere =
      agent === undefined
        ? resources.has(`iam/projects/${PROJECT}/serviceAccounts/${email}`)
        : enabled.has(`agent:${agent}`)
    if (!isThere) throw invalid(`Service account ${email} does not exist.`)
  }

  const done = (response: Json, kind = "operations/1") => ({ name: kind, done: true, response })

  /** Answers a call of an API; undefined where it knows none such. */
  function answer(api: string, method: string, path: string, query: URLSearchParams, body: Json): Json | undefined {
    const call = `${method} ${path}`
    const match = (pattern: RegExp) => pattern.exec(call)?.slice(1) as [string, string, string] | undefined
    let found: [string, string, string] | undefined
    const project = `projects/${PROJECT}`
    if (api === "cloudresourcemanager") {
      if (match(/^GET \/v1\/projects\/shop$/))
        return { projectId: PROJECT, projectNumber: NUMBER, name: PROJECT, lifecycleState: "ACTIVE" }
      if ((found = match(/^POST \/v1\/projects\/shop:(get|set)IamPolicy$/))) return policy("project", found[0], body)
    }
    if (api === "serviceusage") {
      if (match(/^POST \/v1\/projects\/shop\/services:batchEnable$/)) {
        for (const service of body["serviceIds"] as string[]) enabled.add(service)
        return done({})
      }
      if ((found = match(/^POST \/v1beta1\/projects\/shop\/services\/([\w.]+):generateServiceIdentity$/))) {
        if (!enabled.has(found[0])) throw invalid(`${found[0]} is not enabled.`)
        enabled.add(`agent:${found[0].split(".")[0]}`)
        return done({ email: `service-${NUMBER}@gcp-sa-${found[0].split(".")[0]}.iam.gserviceaccount.com` })
      }
    }
    if (api === "iam") {
      if (match(/^POST \/v1\/permissions:queryTestablePermissions$/)) return { permissions: [] }
      if (match(/^POST \/v1\/projects\/shop\/serviceAccounts$/)) {
        const email = `${String(body["accountId"])}@${PROJECT}.iam.gserviceaccount.com`
        const name = `${project}/serviceAccounts/${email}`
        return create(`iam/${name}`, { ...(body["serviceAccount"] as Json), name, email, projectId: PROJECT })
      }
      if (match(/^POST \/v1\/projects\/shop\/roles$/)) {
        const name = `${project}/roles/${String(body["roleId"])}`
        return create(`iam/${name}`, { ...(body["role"] as Json), name })
      }
      if ((found = match(/^POST \/v1\/projects\/(?:shop|-)\/serviceAccounts\/([^/:]+):(get|set)IamPolicy$/))) {
        demand(`iam/${project}/serviceAccounts/${found[0]}`)
        return policy(`account:${found[0].replace(/^daybook-|@.*$/g, "")}`, found[1], body)
      }
      if ((found = match(/^GET \/v1\/projects\/(?:shop|-)\/(serviceAccounts|roles)\/([^/:]+)$/))) {
        return demand(`iam/${project}/${found[0]}/${found[1]}`)
      }
    }
    if (api === "artifactregistry") {
      const parent = `/v1/${project}/locations/${REGION}/repositories`
      if (method === "POST" && path === parent) {
        const id = query.get("repositoryId") ?? ""
        create(`artifactregistry/${id}`, body)
        return done(body, `${project}/locations/${REGION}/operations/1`)
      }
      if ((found = match(/^GET .*\/operations\/(\w+)$/))) return done({}, path.replace("/v1/", ""))
      if ((found = match(/^\w+ .*\/repositories\/([^/:]+):(get|set)IamPolicy$/))) {
        demand(`artifactregistry/${found[0]}`)
        return policy("repository", found[1], body)
      }
      if ((found = match(/^GET .*\/repositories\/([^/:]+)$/))) return demand(`artifactregistry/${found[0]}`)
      if ((found = match(/^PATCH .*\/repositories\/([^/:]+)$/)))
        return Object.assign(demand(`artifactregistry/${found[0]}`), withMask(body, query))
    }
    if (api === "secretmanager") {
      if (match(/^POST \/v1\/projects\/shop\/secrets$/)) return create(`secretmanager/${query.get("secretId")}`, body)
      if ((found = match(/^\w+ .*\/secrets\/([^/:]+):(get|set)IamPolicy$/))) {
        demand(`secretmanager/${found[0]}`)
        return policy(`secret:${found[0]}`, found[1], body)
      }
      if ((found = match(/^GET .*\/secrets\/([^/:]+)$/))) return demand(`secretmanager/${found[0]}`)
    }
    if (api === "pubsub") {
      if ((found = match(/^PUT \/v1\/projects\/shop\/topics\/([^/:]+)$/)))
        return create(`pubsub/${found[0]}`, { ...body, name: `${project}/topics/${found[0]}` })
      if ((found = match(/^\w+ .*\/topics\/([^/:]+):(get|set)IamPolicy$/))) {
        demand(`pubsub/${found[0]}`)
        return policy(`topic:${found[0]}`, found[1], body)
      }
      if ((found = match(/^GET .*\/topics\/([^/:]+)$/))) return demand(`pubsub/${found[0]}`)
    }
    if (api === "storage") {
      if (match(/^POST \/storage\/v1\/b$/))
        return create(`storage/${String(body["name"])}`, {
          ...body,
          metageneration: "1",
          id: body["name"],
          kind: "storage#bucket",
          timeCreated: new Date().toISOString(),
        })
      if ((found = match(/^GET \/storage\/v1\/b\/([^/]+)\/iam$/))) {
        demand(`storage/${found[0]}`)
        return policy(`bucket:${found[0]}`, "get", body)
      }
      if ((found = match(/^PUT \/storage\/v1\/b\/([^/]+)\/iam$/))) {
        demand(`storage/${found[0]}`)
        return policy(`bucket:${found[0]}`, "set", { policy: body })
      }
      if ((found = match(/^GET \/storage\/v1\/b\/([^/]+)$/))) return demand(`storage/${found[0]}`)
      if ((found = match(/^PATCH \/storage\/v1\/b\/([^/]+)$/)))
        return Object.assign(demand(`storage/${found[0]}`), body)
    }
    if (api === "run") return answerRun(method, path, body)
    if (api === "cloudscheduler") {
      if (match(/^POST \/v1\/projects\/shop\/locations\/[\w-]+\/jobs$/))
        return create(`cloudscheduler/${String(body["name"]).split("/").at(-1)}`, body)
      if ((found = match(/^GET .*\/jobs\/([^/:]+)$/))) return demand(`cloudscheduler/${found[0]}`)
      if ((found = match(/^PATCH .*\/jobs\/([^/:]+)$/)))
        return Object.assign(demand(`cloudscheduler/${found[0]}`), withMask(body, query))
    }
    if (api === "logging") {
      if (match(/^POST \/v2\/projects\/shop\/metrics$/)) return create(`logging/${String(body["name"])}`, body)
      if ((found = match(/^GET \/v2\/projects\/shop\/metrics\/([^/:]+)$/))) return demand(`logging/${found[0]}`)
    }
    if (api === "monitoring") return answerMonitoring(method, path, query, body)
    return undefined
  }

  /** Services and jobs in Knative's form, as gcloud writes them: https://cloud.google.com/run/docs/reference/rest/v1 */
  function answerRun(method: string, path: string, body: Json): Json | undefined {
    const [, kind = "", id = ""] =
      /\/namespaces\/shop\/(services|jobs|executions|configurations|routes|revisions)(?:\/([^/:]+))?(?::run)?$/.exec(
        path,
      ) ?? []
    const [, on, name, verb] =
      /^\/v\d\/projects\/shop\/locations\/[\w-]+\/(services|jobs)\/([^/:]+):(get|set)IamPolicy$/.exec(path) ?? []
    if (on && name && verb) {
      demand(`run/${on}/${name}`)
      return policy(`${on === "jobs" ? "job" : "service"}:${name.replace("daybook-", "")}`, verb, body)
    }
    if (kind === "") return undefined
    if (method === "GET" && id !== "") return demand(`run/${kind}/${id}`)
    if (method === "GET") return { items: [], metadata: {} }
    if (path.endsWith(":run")) {
      demand(`run/jobs/${id}`)
      const conditions = ["ResourcesAvailable", "Started", "Completed"].map((type) => ({ type, status: "True" }))
      const metadata = {
        name: `${id}-abcde`,
        generation: 1,
        namespace: PROJECT,
        labels: {},
        annotations: {},
        creationTimestamp: new Date().toISOString(),
      }
      const spec = { template: { spec: { containers: [{ image: "x" }] } } }
      const execution = {
        apiVersion: "run.googleapis.com/v1",
        kind: "Execution",
        metadata,
        spec,
        status: { conditions, succeededCount: 1, completionTime: new Date().toISOString(), observedGeneration: 1 },
      }
      resources.set(`run/executions/${id}-abcde`, execution)
      return execution
    }
    const metadata = body["metadata"] as Json
    const given = String(metadata["name"])
    const before = resources.get(`run/${kind}/${given}`)
    if (method === "POST" && before) throw alreadyThere(given)
    const known = before?.["metadata"] as Json | undefined
    if (
      method === "PUT" &&
      known &&
      metadata["resourceVersion"] !== undefined &&
      metadata["resourceVersion"] !== known["resourceVersion"]
    ) {
      throw aborted(`The resource version of ${given} is not the newest.`)
    }
    checkAccount(body)
    const generation = Number(known?.["generation"] ?? 0) + 1
    const conditions = ["Ready", "ConfigurationsReady", "RoutesReady"].map((type) => ({ type, status: "True" }))
    const stored = {
      ...body,
      metadata: {
        ...metadata,
        namespace: PROJECT,
        generation,
        resourceVersion: `v${generation}`,
        creationTimestamp: new Date().toISOString(),
        selfLink: path,
      },
      status: {
        observedGeneration: generation,
        conditions,
        url: `https://${given}-${NUMBER}.${REGION}.run.app`,
        latestReadyRevisionName: `${given}-0000${generation}`,
        latestCreatedRevisionName: `${given}-0000${generation}`,
        traffic: [{ percent: 100, latestRevision: true }],
      },
    }
    resources.set(`run/${kind}/${given}`, stored)
    return stored
  }

  /** A service that runs as nobody would not start. */
  function checkAccount(body: Json): void {
    const account = /"serviceAccountName":"([^"]+)"/.exec(JSON.stringify(body))?.[1]
    if (account !== undefined) checkMember(`serviceAccount:${account}`)
  }

  function answerMonitoring(method: string, path: string, query: URLSearchParams, body: Json): Json | undefined {
    const [, kind = "", id = ""] =
      /^\/v[13]\/projects\/(?:shop|123456789)\/(alertPolicies|dashboards)(?:\/([^/:]+))?$/.exec(path) ?? []
    if (kind === "") return undefined
    const all = () =>
      [...resources].flatMap(([name, resource]) => (name.startsWith(`monitoring/${kind}/`) ? [resource] : []))
    if (method === "GET" && id === "") return { [kind]: all() }
    if (method === "GET") return demand(`monitoring/${kind}/${id}`)
    if (method === "POST") {
      const name = String(all().length + 1)
      return create(`monitoring/${kind}/${name}`, {
        ...body,
        name: `projects/${PROJECT}/${kind}/${name}`,
        etag: newEtag(),
      })
    }
    const known = demand(`monitoring/${kind}/${id}`)
    if (kind === "dashboards" && body["etag"] !== known["etag"])
      throw aborted("The dashboard's etag is not the newest.")
    return Object.assign(known, withMask(body, query), { etag: newEtag() })
  }

  const server = createServer((request, response) => {
    void serve(request).then(
      (json) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(json)),
      (error: unknown) => {
        const { code, status, message } =
          error instanceof Refusal ? error : { code: 500, status: "INTERNAL", message: String(error) }
        response
          .writeHead(code, { "content-type": "application/json" })
          .end(JSON.stringify({ error: { code, status, message } }))
      },
    )
  })

  async function serve(request: IncomingMessage): Promise<Json> {
    const url = new URL(request.url ?? "")
    // `europe-west1-run.local` is the region's own.
    const api =
      allApis.find((name) => url.hostname === `${name}.local` || url.hostname.endsWith(`-${name}.local`)) ?? ""
    const method = request.method ?? ""
    const given = await text(request)
    const body = (given === "" ? {} : JSON.parse(given)) as Json
    const call = `${method} ${api}${url.pathname}`
    const failure = fails(call)
    if (failure === "reset") request.socket.destroy()
    if (failure === "reset") throw new Refusal(500, "INTERNAL", "the connection has ended")
    if (failure) throw new Refusal(failure.code, failure.status, failure.message)
    const json = answer(api, method, decodeURIComponent(url.pathname), url.searchParams, body)
    if (!json) throw notFound(call)
    if (method !== "GET" && !/getIamPolicy|queryTestable/.test(url.pathname)) changes.push(call)
    return json
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const proxy = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    env: {
      http_proxy: proxy,
      CLOUDSDK_CORE_DISABLE_PROMPTS: "1",
      ...Object.fromEntries(
        allApis.map((api) => [
          `CLOUDSDK_API_ENDPOINT_OVERRIDES_${api.toUpperCase()}`,
          `http://${api}.local/${api === "storage" ? "storage/v1/" : ""}`,
        ]),
      ),
    },
    resources,
    bindings: () => new Map([...policies].map(([name, { bindings }]) => [name, bindings])),
    changes,
    enabled,
    save: () => JSON.stringify({ resources: [...resources], policies: [...policies], enabled: [...enabled], etags }),
    restore: (saved) => {
      const before = JSON.parse(saved) as {
        resources: [string, Json][]
        policies: [string, Policy][]
        enabled: string[]
        etags: number
      }
      resources.clear()
      policies.clear()
      for (const [name, resource] of before.resources) resources.set(name, resource)
      for (const [name, stored] of before.policies) policies.set(name, stored)
      enabled.clear()
      for (const name of before.enabled) enabled.add(name)
      etags = before.etags
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Of a body what the query's mask names, or all of it. */
function withMask(body: Json, query: URLSearchParams): Json {
  const mask = query.get("updateMask")
  if (!mask) return body
  const camel = (path = "") => path.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const fields = new Set(mask.split(",").map((path) => camel(path.split(".")[0])))
  return Object.fromEntries(Object.entries(body).filter(([name]) => fields.has(name)))
}
