import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { findFreePort } from "../../services/local/free-port.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { readEnvironment } from "./find-process.ts"

const buildFolder = fileURLToPath(new URL("../../.build", import.meta.url))

/** A second instance of the finalizer, as Cloud Run has when it scales. */
export async function startExtraFinalizer(cloud: FaultCloud): Promise<{ url: string; stop(): Promise<void> }> {
  const env = readEnvironment(cloud.cloud.services.finalizer.pid ?? 0) ?? {}
  const port = await findFreePort()
  const child = spawn(process.execPath, [`${buildFolder}/finalizer.cjs`], {
    env: { ...env, PORT: String(port) },
    stdio: "ignore",
  })
  if (child.pid !== undefined) cloud.extras.add(child.pid)
  const url = `http://127.0.0.1:${port}`
  await cloud.waitFor("the second finalizer", async () =>
    (await fetch(`${url}/healthz`).catch(() => undefined))?.ok ? true : undefined,
  )
  return {
    url,
    stop: async () => {
      child.kill("SIGTERM")
      if (child.exitCode === null) await once(child, "exit")
    },
  }
}
