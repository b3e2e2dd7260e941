import { spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface Step {
  id: string
  name: string
  timeout?: string
  script: string
}

export interface BuildFile {
  steps: Step[]
  substitutions: Record<string, string>
  [field: string]: unknown
}

export async function readBuildFile(): Promise<BuildFile> {
  return parse(await readFile(join(root, "cloudbuild.yaml"), "utf8")) as BuildFile
}

/** What a step did: its exit code, what it wrote, and each command of a tool, in order. */
export interface StepRun {
  id: string
  status: number | null
  stdout: string
  stderr: string
  commands: string[][]
}

/** The build's own substitutions, and what Google's are set to: https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values */
const google = {
  PROJECT_ID: "shop",
  PROJECT_NUMBER: "123456789",
  BUILD_ID: "b1d2",
  COMMIT_SHA: "0123456789abcdef0123456789abcdef01234567",
}

const DIGEST = `europe-west1-docker.pkg.dev/shop/daybook/daybook@sha256:${"ab".repeat(32)}`

const BEHIND_IAP = '{"metadata":{"annotations":{"run.googleapis.com/iap-enabled":"true"}}}'

// Instead of the tools that would reach out: each writes down how it was called, one word a line, and a line of dashes.
const tool = (name: string) => `#!/usr/bin/env bash
{ printf '%s\\n' ${name} "$@"; echo ----; } >>"$TOOL_LOG"
if [[ "${name} $*" == *"$TOOL_FAILS"* && -n "$TOOL_FAILS" ]]; then exit 1; fi
if [[ "$*" == *get-iam-policy* ]]; then echo "$TOOL_POLICY"; fi
if [[ "$*" == "run services describe"* ]]; then echo "$TOOL_SERVICE"; fi
if [[ "${name} $1" == "docker inspect" ]]; then echo "${DIGEST}"; fi
`

export interface BuildOptions {
  /** A part of the command that shall fail. */
  fails?: string
  /** Says who may call. */
  policy?: string
  /** What a service is when it is asked about. */
  service?: string
  /** A real gcloud, instead of what stands in for it. */
  gcloud?: string
  env?: Record<string, string>
  /** Ends the step that runs, and all that it has started. */
  signal?: AbortSignal | undefined
}

/**
 * Runs the steps of cloudbuild.yaml as Cloud Build would, one after the other until one fails, in a folder of its own
 * and with stand-ins for the tools.
 */
export async function runBuild(
  given: Record<string, string> = {},
  { fails = "", policy = '{"bindings":[]}', service = BEHIND_IAP, gcloud, env = {}, signal }: BuildOptions = {},
): Promise<StepRun[]> {
  const build = await readBuildFile()
  const workspace = await mkdtemp(join(tmpdir(), "daybook-build-"))
  try {
    for (const path of ["services/provision", "services/Dockerfile"])
      await cp(join(root, path), join(workspace, path), { recursive: true })
    await mkdir(join(workspace, "tools"))
    await mkdir(join(workspace, ".ci"))
    await writeFile(join(workspace, ".ci/run"), "ci-run")
    if (gcloud !== undefined) await symlink(gcloud, join(workspace, "tools/gcloud"))
    for (const name of [...(gcloud === undefined ? ["gcloud"] : []), "docker", "node", "apt-get", "ci-run"]) {
      await writeFile(join(workspace, "tools", name), tool(name), { mode: 0o755 })
    }
    const settings = join(workspace, "services/provision/deploy-settings.sh")
    const place = (script: string) => script.replaceAll("/workspace/", `${workspace}/`)
    await writeFile(settings, place(await readFile(settings, "utf8")))

    const substitutions: Record<string, string> = { ...google, ...build.substitutions, ...given }
    for (const [name, value] of Object.entries(substitutions)) {
      substitutions[name] = value.replace(/\$\{(\w+)\}/g, (_, other: string) => substitutions[other] ?? "")
    }
    const runs: StepRun[] = []
    for (const step of build.steps) {
      const log = join(workspace, `${step.id}.log`)
      await writeFile(log, "")
      const script = join(workspace, `${step.id}.sh`)
      await writeFile(script, place(step.script))
      // Not waited for by the whole process: a control plane in it may have to answer.
      const running = spawn("bash", [script], {
        cwd: workspace,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: [join(workspace, "tools"), process.env.PATH].join(delimiter),
          TOOL_LOG: log,
          TOOL_FAILS: fails,
          TOOL_POLICY: policy,
          TOOL_SERVICE: service,
          ...env,
          ...substitutions,
        },
      })
      let stdout = ""
      let stderr = ""
      running.stdout.on("data", (data: Buffer) => (stdout += data.toString()))
      running.stderr.on("data", (data: Buffer) => (stderr += data.toString()))
      const end = () => running.pid !== undefined && process.kill(-running.pid, "SIGKILL")
      signal?.addEventListener("abort", end)
      const [status] = (await once(running, "close")) as [number | null]
      signal?.removeEventListener("abort", end)
      const commands = (await readFile(log, "utf8")).split("\n----\n").filter(Boolean)
      runs.push({ id: step.id, status, stdout, stderr, commands: commands.map((command) => command.split("\n")) })
      if (status !== 0) break
    }
    return runs
  } finally {
    await rm(workspace, { recursive: true, force: true })
  }
}
