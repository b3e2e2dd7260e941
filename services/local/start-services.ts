import { availableParallelism } from "node:os"
import { join } from "node:path"
import type { OrphanGuard } from "../emulators/processes/orphan-guard.ts"
import type { PushSigner } from "../emulators/push-token.ts"
import { applyTopology } from "../provision/apply-topology.ts"
import { describeTopology } from "../provision/topology.ts"
import type { CloudOptions } from "./cloud-options.ts"
import { requireFreePort } from "./free-port.ts"
import { type ServiceProcess, startService } from "./service-process.ts"
import { settleAll } from "./start-emulators.ts"
import { disconnectNotify, startNotify } from "./start-notify.ts"
import { createWorkerJob } from "./worker-job.ts"

/** Those that take pushes and calls. */
export interface CallableServices {
  planner: ServiceProcess
  finalizer: ServiceProcess
}

/** Each from when it runs on. */
export interface StartedServices extends Partial<CallableServices> {
  page?: ServiceProcess
  notify?: ServiceProcess
}

export interface ServiceSurroundings {
  /** Where the programs are. */
  programs: string
  settings: Record<string, string>
  signer: PushSigner
  guard: OrphanGuard
}

const PUSH_ACCOUNT = "daybook-push@local.iam.gserviceaccount.com"
const SCHEDULER_ACCOUNT = "daybook-scheduler@local.iam.gserviceaccount.com"
const AUDIENCE = "daybook"
const RETRIES_MAX = 10
const TASK_TIMEOUT_SECONDS = 600
// A person waits here: a message that was refused comes again soon, and a database may be away for a minute.
const RETRY = { minSeconds: 0.2, maxSeconds: 5 }
const DELIVERY_ATTEMPTS_MAX = 30

/** Starts planner and finalizer, and creates the job of the worker. */
export async function startServices(
  options: CloudOptions,
  { programs, settings, signer, guard }: ServiceSurroundings,
  started: StartedServices,
): Promise<CallableServices> {
  const startOne = async (name: "planner" | "finalizer") => {
    const service = await startService({
      name,
      command: [process.execPath, join(programs, `${name}.cjs`)],
      env: { ...findThings(), ...pushSettings(signer), ...settings },
      ...processOptions(options, name, guard),
    })
    started[name] = service
    return service
  }
  const [planner, finalizer] = await settleAll([
    startOne("planner"),
    startOne("finalizer"),
    createWorkerJob({
      runHost: settings["RUN_EMULATOR_HOST"] ?? "",
      env: settings,
      parallelism: options.parallelism ?? availableParallelism(),
      maxRetries: options.maxRetries ?? RETRIES_MAX,
      taskTimeoutSeconds: options.taskTimeoutSeconds ?? TASK_TIMEOUT_SECONDS,
    }),
  ])
  return { planner, finalizer }
}

/** The page on which anybody on this machine may ask for what they like. */
export async function startPage(
  options: CloudOptions,
  port: number,
  { programs, settings, guard }: ServiceSurroundings,
): Promise<ServiceProcess> {
  if (port) await requireFreePort(port, "the page")
  return startService({
    name: "page",
    command: [process.execPath, join(programs, "page.cjs")],
    env: { ...findThings(), ...settings, PAGE_ACTIONS: "publish" },
    ...(port ? { port } : {}),
    ...processOptions(options, "page", guard),
  })
}

/** The notifier, where there are settings for it. It links to the page, where there is one. */
export function startNotifier(
  options: CloudOptions,
  forNotify: Record<string, string>,
  pageUrl: Record<string, string>,
  { programs, settings, signer, guard }: ServiceSurroundings,
): Promise<ServiceProcess | undefined> {
  return startNotify(programs, forNotify, {
    env: { ...findThings(), ...pushSettings(signer), ...pageUrl, ...settings },
    ...processOptions(options, "notify", guard),
  })
}

/** Creates topics and subscriptions, with pushes to the services. */
export async function connectServices(
  options: CloudOptions,
  env: Record<string, string>,
  { planner, finalizer, notify }: CallableServices & { notify: ServiceProcess | undefined },
): Promise<void> {
  const settings = { GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: env["PUBSUB_EMULATOR_HOST"] }
  if (!notify && options.keepState) await disconnectNotify(settings)
  await applyTopology(
    settings,
    describeTopology({
      plannerUrl: planner.url,
      finalizerUrl: finalizer.url,
      ...(notify ? { notifyUrl: notify.url } : {}),
      pushServiceAccount: PUSH_ACCOUNT,
      pushAudience: AUDIENCE,
      retry: RETRY,
      deliveryAttemptsMax: options.deliveryAttemptsMax ?? DELIVERY_ATTEMPTS_MAX,
    }),
  )
}

/** The token with which a scheduler of this cloud calls a service. */
export function signSchedulerToken(signer: PushSigner): Promise<string> {
  return signer.sign({ audience: AUDIENCE, serviceAccountEmail: SCHEDULER_ACCOUNT })
}

/** Whom a service of this cloud takes pushes from. */
function pushSettings(signer: PushSigner) {
  return {
    PUSH_AUDIENCE: AUDIENCE,
    PUSH_ACCOUNTS: `${PUSH_ACCOUNT} ${SCHEDULER_ACCOUNT}`,
    PUSH_CERTS_URL: signer.certsUrl,
  }
}

/** All that a program of ours sees of this machine's environment is where to find things. */
function findThings() {
  const { PATH = "", HOME = "" } = process.env
  return { PATH, HOME }
}

function processOptions(
  { folder, restartMaxMs, log = () => {}, signal }: CloudOptions,
  name: string,
  guard: OrphanGuard,
) {
  return { logFile: join(folder, "logs", `${name}.log`), guard, restartMaxMs, log, signal }
}
