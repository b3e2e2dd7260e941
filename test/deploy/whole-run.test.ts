import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createConnection } from "mysql2/promise"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { buildImage } from "../../services/build/build-image.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

const password = `pw-${randomBytes(9).toString("hex")}`
const user = `deploy_${randomBytes(4).toString("hex")}`

/** Statements on the server of the tests, as its root. */
async function administer(...statements: string[]): Promise<void> {
  const connection = await createConnection({ uri: inject("databaseServer") })
  for (const statement of statements) await connection.query(statement)
  await connection.end()
}

describe.skipIf(!inject("mayCreateUsers"))("the programs of the image", () => {
  let image: string
  let pipeline: Pipeline
  beforeAll(async () => {
    image = await mkdtemp(join(tmpdir(), "daybook-image-"))
    const account = `'${user}'@'%'`
    await administer(`CREATE USER ${account} IDENTIFIED BY '${password}'`, `GRANT ALL ON *.* TO ${account}`)
    const server = new URL(inject("databaseServer"))
    server.username = user
    server.password = password
    await buildImage(image)
    const settings = { LOG_LEVEL: "debug" }
    pipeline = await startPipeline({ programsFolder: image, databaseServer: server.href, settings })
  })
  afterAll(async () => {
    await pipeline?.stop()
    await administer(`DROP USER '${user}'@'%'`)
    await rm(image, { recursive: true, force: true })
  })

  it("compute a day from the published date to the complete verdict", async () => {
    await pipeline.query(...purchasesOf(60, 4))
    const verdict = await pipeline.start()
    expect(verdict).toMatchObject({ verdict: "complete", date })
    expect(await pipeline.expectRevenue()).toBeGreaterThan(50)
  })

  it("have logged what they did, with the run in each line about it, and never the password", async () => {
    const logs = await pipeline.readLogs()
    const lines = logs.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as object] : []))
    for (const service of ["planner", "worker", "finalizer"]) {
      expect(lines).toContainEqual(expect.objectContaining({ service, runId: expect.stringContaining(date) }))
    }
    expect(logs).not.toContain(password)
  })

  it("do nothing for who does not prove who calls, and say no more than that", async () => {
    const { planner, finalizer } = pipeline.cloud.services
    const before = pipeline.verdicts().length
    const message = { data: Buffer.from(`{"date":"${date}"}`).toString("base64"), messageId: "1", publishTime: date }
    const push = { message, subscription: "projects/local/subscriptions/planner-run-requests" }
    for (const url of [`${planner.url}/run-requests`, `${finalizer.url}/shard-reports`, `${finalizer.url}/sweep`]) {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(push),
      })
      expect([answer.status, await answer.json()]).toEqual([401, { error: "not for you" }])
    }
    await pipeline.cloud.sweep()
    expect(pipeline.verdicts()).toHaveLength(before)
    expect(await pipeline.query("SELECT run_id FROM runs")).toHaveLength(1)
  })
})
