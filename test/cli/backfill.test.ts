import { afterAll, beforeAll, expect, test } from "vitest"
import { formatJson } from "../../schemas/json.ts"
import { RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { createDocument } from "../../shared/documents/documents.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { type Cli, startCli } from "../fixtures/start-cli.ts"

let cli: Cli
beforeAll(async () => {
  cli = await startCli()
})
afterAll(() => cli.stop())

test.each([
  ["backfill", "backfill-requests"],
  ["audit", "audit-requests"],
])("%s --wait looks for a rejection once in a second, and tells it", async (command, topic) => {
  let looks = 0
  const remove = cli.storageFaults.add({
    matches: ({ resource }) => resource.includes("rejections/"),
    before: () => void looks++,
  })
  try {
    const typed = cli.daybook(command, "2026-11-01..2026-11-03", "--wait")
    const { messageId } = await cli.published(topic)
    await new Promise((passed) => setTimeout(passed, 3_500))
    expect(looks).toBeGreaterThan(1)
    expect(looks).toBeLessThan(6)
    const reason = "it is too much"
    const rejection = formatJson(RunVerdictSchema, { verdict: "rejected", requestId: messageId, reason })
    await createDocument(cli.bucket, rejectionPath(topic, messageId), rejection, {
      log: await createLog("test", "silent"),
    })
    expect(await typed).toMatchObject({ code: 1, stdout: `rejected: ${reason}\n` })
  } finally {
    remove()
  }
})
