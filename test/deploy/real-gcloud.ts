import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type ControlPlane, type Failure, PROJECT, startControlPlane } from "./control-plane.ts"
import { readRealTree } from "./make-gcloud-flags.ts"

/*
 * The real gcloud on a control plane that keeps what it is given. Each of its commands takes a second and more, so these
 * tests take minutes: `npm run test:gcloud`, and not with all others. What a step has come to is kept in .build, so that
 * a run that failed or was ended goes on where it was.
 */

export const GCLOUD = "/usr/bin/gcloud"
export const isWanted = process.env["TEST_REAL_GCLOUD"] !== undefined && readRealTree() !== undefined

const root = fileURLToPath(new URL("../..", import.meta.url))
const provision = join(root, "services/provision")

export interface RealGcloud {
  cloud: ControlPlane
  /** gcloud's environment: the control plane, a configuration of its own, and a token that nobody looks at. */
  env: Record<string, string>
  /** Refuses calls that match, the next one or all. */
  refuse(call: RegExp, failure: Failure, times?: number): void
  stop(): Promise<void>
}

export async function startRealGcloud(): Promise<RealGcloud> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-gcloud-"))
  let refusal: { call: RegExp; failure: Failure; times: number } | undefined
  const cloud = await startControlPlane((call) => {
    if (!refusal?.call.test(call) || refusal.times-- <= 0) return undefined
    return refusal.failure
  })
  await writeFile(join(folder, "token"), "token")
  const env = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: folder,
    CLOUDSDK_CONFIG: join(folder, "gcloud"),
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, "token"),
    WAIT_SECONDS: "0",
    ...cloud.env,
  }
  return {
    cloud,
    env,
    refuse: (call, failure, times = 1) => (refusal = { call, failure, times }),
    stop: async () => {
      await cloud.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Runs a script of bash to its end. When the signal aborts, as it does when a test fails, nothing is left of it. */
export async function runBash(
  args: string[],
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  const child = spawn("bash", args, { cwd: provision, env, detached: true, stdio: ["ignore", "pipe", "pipe"] })
  const end = () => child.pid !== undefined && process.kill(-child.pid, "SIGKILL")
  signal.addEventListener("abort", end)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()))
  const [code] = (await once(child, "close")) as [number | null]
  signal.removeEventListener("abort", end)
  return { code, output }
}

export function bootstrap(section: string, env: Record<string, string>, signal: AbortSignal) {
  return runBash([join(provision, "bootstrap.sh"), "--project", PROJECT, "--only", section], env, signal)
}

/** The sections of the bootstrap, in their order. */
export async function readSections(): Promise<string[]> {
  const text = await readFile(join(provision, "bootstrap.sh"), "utf8")
  return /^all_sections=\((.*)\)$/m.exec(text)?.[1]?.split(" ") ?? []
}

/** Keeps what steps have come to, for as long as the files that decide it are the same. */
export interface Steps {
  /** Does a step, or puts the cloud into the state that it came to in an earlier run. */
  take(step: string, cloud: ControlPlane, run: () => Promise<void>): Promise<void>
  /** All steps are to be done again the next time. */
  forget(): Promise<void>
}

export async function openSteps(): Promise<Steps> {
  const hash = createHash("sha256")
  const files = (await readdir(provision, { recursive: true, withFileTypes: true })).filter((file) => file.isFile())
  const paths = files
    .map((file) => join(file.parentPath, file.name))
    .filter((path) => !path.endsWith(".md"))
    .toSorted()
  for (const path of [...paths, join(root, "services/Dockerfile"), join(root, "test/deploy/control-plane.ts")])
    hash.update(path).update(await readFile(path))
  const folder = join(root, ".build/real-gcloud", hash.digest("hex").slice(0, 16))
  await mkdir(folder, { recursive: true })
  return {
    take: async (step, cloud, run) => {
      const path = join(folder, `${step}.json`)
      const saved = await readFile(path, "utf8").catch(() => undefined)
      if (saved !== undefined) {
        console.log(`${step}: taken over from the run before`)
        return cloud.restore(saved)
      }
      await run()
      await writeFile(path, cloud.save())
    },
    forget: () => rm(join(root, ".build/real-gcloud"), { recursive: true, force: true }),
  }
}
