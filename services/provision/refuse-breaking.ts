import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { v1 } from "@google-cloud/pubsub"
import { PermanentError } from "../../shared/errors.ts"
import { hasStatus } from "../../shared/google/grpc-status.ts"
import { openPubSub, type PubSubSettings } from "../../shared/google/open-pubsub.ts"
import type { SchemaSpec } from "./topology.ts"

const run = promisify(execFile)
const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url))
// As in schemas/buf.yaml: what was published under the old contract must be readable under the new one, as JSON too.
const rules = JSON.stringify({ version: "v2", breaking: { use: ["WIRE_JSON"] } })

// What buf exits with when it has found something, and not failed itself.
const BUF_FOUND = 100

/**
 * Throws if a schema would break the one that is in the project now: messages under way, and the services that run
 * until the next ones are deployed, know the old one. Pub/Sub itself takes any revision. Changes nothing.
 */
export async function refuseBreakingSchemas(settings: PubSubSettings, schemas: SchemaSpec[]): Promise<void> {
  const config = (await openPubSub(settings).getClientConfig()) as ConstructorParameters<
    typeof v1.SchemaServiceClient
  >[0]
  const client = new v1.SchemaServiceClient(config)
  try {
    const project = `projects/${settings.GOOGLE_CLOUD_PROJECT}`
    const found = await Promise.all(
      schemas.map((schema) => readDefinition(client, `${project}/schemas/${schema.name}`)),
    )
    const faults: string[] = []
    for (const [index, schema] of schemas.entries()) {
      const old = found[index]
      if (old !== undefined && old !== schema.definition) faults.push(...(await findBreaks(schema, old)))
    }
    if (faults.length === 0) return
    throw new PermanentError(
      `the contracts of messages would break what is published and running now; nothing was changed:\n${faults.join("\n")}`,
    )
  } finally {
    await client.close()
  }
}

async function readDefinition(client: v1.SchemaServiceClient, name: string): Promise<string | undefined> {
  try {
    const [schema] = await client.getSchema({ name, view: "FULL" })
    return schema.definition ?? undefined
  } catch (error) {
    if (hasStatus(error, "notFound")) return undefined
    throw error
  }
}

/** What `buf breaking` says of the two texts, a line each. */
async function findBreaks(schema: SchemaSpec, old: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-schema-"))
  try {
    for (const [side, definition] of Object.entries({ old, new: schema.definition })) {
      await mkdir(join(folder, side))
      await writeFile(join(folder, side, `${schema.name}.proto`), definition)
    }
    await run(buf, ["breaking", "--against", "../old", "--config", rules, "--against-config", rules], {
      cwd: join(folder, "new"),
    })
    return []
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout?: string }
    if (code !== BUF_FOUND) throw error
    return (stdout ?? "").trim().split("\n")
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
