import { setTimeout as wait } from "node:timers/promises"
import { type Audit as AuditDocument, AuditSchema } from "../../schemas/documents/audit_pb.ts"
import { formatJson, parseDocument, parseJson } from "../../schemas/json.ts"
import { RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { parseChange } from "../../shared/day/totals-fields.ts"
import { type Audit, listAuditsOfRequest } from "../../shared/ledger/audits/find-audits.ts"
import type { PersonRequest } from "../../shared/messages/person-requests.ts"
import { topics } from "../../shared/messages/topics.ts"
import { formatAmount } from "../../shared/terminal/render-amount.ts"
import { renderChanges } from "../../shared/terminal/render-changes.ts"
import { formatCount, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import type { SendOptions } from "./await-verdict.ts"
import { createRejectionReader } from "./read-rejection.ts"
import { publish } from "./send-request.ts"
import { readWatchConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

const POLL_MS = 250
const ENDED: readonly string[] = ["same", "drifted", "outdated", "failed"]

/** `daybook audit`: asks for published days to be compared with the shop as it is now. */
export async function auditDays(
  request: Extract<PersonRequest, { do: "audit" }>,
  options: SendOptions,
  terminal: Terminal,
): Promise<number> {
  const { from, to } = request
  const what = from === to ? from : `${from} to ${to}`
  if (!options.wait) {
    const { messageId: requestId } = await publish(request, options.note, terminal.env)
    printResult(terminal, options.json, { requestId }, [
      `Asked for an audit of ${what}: message ${requestId}.`,
      `What it finds: npm run daybook -- status ${to === "yesterday" ? "DATE" : to}, or the topic ${topics.dayChanges}`,
    ])
    return exitCodes.ok
  }
  const config = readWatchConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  try {
    // Before publishing: a request that nobody can follow is not what was asked for.
    await listAuditsOfRequest(database.db, "")
    const { messageId: requestId } = await publish(request, options.note, terminal.env)
    terminal.stderr.write(`Asked for an audit of ${what}: message ${requestId}.\n`)
    const list = () => listAuditsOfRequest(database.db, requestId)
    const readRejection = createRejectionReader(config, topics.auditRequests, requestId)
    return await awaitAudits(requestId, list, readRejection, { ...options, scale: config.SHOP_FILE.scale }, terminal)
  } finally {
    await database.close()
  }
}

async function awaitAudits(
  requestId: string,
  list: () => Promise<Audit[]>,
  readRejection: () => Promise<string | undefined>,
  options: SendOptions & { scale: number },
  terminal: Terminal,
): Promise<number> {
  const deadline = options.timeoutSeconds === undefined ? Infinity : performance.now() + options.timeoutSeconds * 1_000
  let shown = ""
  for (;;) {
    const audits = await list()
    const ended = audits.filter(({ state }) => ENDED.includes(state))
    if (audits.length > 0 && ended.length === audits.length) return printAudits(requestId, audits, options, terminal)
    const rejection = audits.length === 0 ? await readRejection() : undefined
    if (rejection !== undefined) {
      const { reason = "no reason was given" } = parseJson(RunVerdictSchema, rejection)
      printResult(terminal, options.json, { requestId, verdict: "rejected", reason }, [`rejected: ${reason}`])
      return exitCodes.failed
    }
    const at = audits.find(({ state }) => state === "auditing")
    const where = at ? `, ${at.revenueDate} at shard ${formatCount(at.nextShard)}` : ""
    const line = `${formatCount(ended.length)} of ${formatNumberOf(audits.length, "day")} audited${where}`
    if (audits.length > 0 && line !== shown) terminal.stderr.write(`${line}\n`)
    shown = line
    if (terminal.signal.aborted || performance.now() > deadline) {
      terminal.stderr.write(`The audits of message ${requestId} go on by themselves.\n`)
      return terminal.signal.aborted ? exitCodes.interrupted : exitCodes.failed
    }
    await wait(POLL_MS, undefined, { signal: terminal.signal }).catch(() => undefined)
  }
}

function printAudits(
  requestId: string,
  audits: Audit[],
  { json, scale }: { json: boolean; scale: number },
  terminal: Terminal,
): number {
  const found = audits.map((audit) => ({ audit, document: readAudit(audit) }))
  const documents = found.map(({ audit: { auditId, revenueDate: date, version, state }, document }) =>
    document ? (JSON.parse(formatJson(AuditSchema, document)) as unknown) : { auditId, date, version, state },
  )
  printResult(terminal, json, { requestId, audits: documents }, [
    ...renderAudits(found, scale),
    ...found.flatMap(({ audit, document }) => renderErased(audit.revenueDate, document)),
    ...found.flatMap(({ audit, document }) => renderUsers(audit.revenueDate, document, scale)),
  ])
  return audits.every(({ state }) => state === "same") ? exitCodes.ok : exitCodes.failed
}

function readAudit({ state, document }: Audit): AuditDocument | undefined {
  return document && (state === "same" || state === "drifted") ? parseDocument(AuditSchema, document) : undefined
}

function renderAudits(found: { audit: Audit; document: AuditDocument | undefined }[], scale: number): string[] {
  const right = "right" as const
  return renderTable(
    [
      { title: "DATE" },
      { title: "VERSION", align: right },
      { title: "RESULT" },
      { title: "USERS DIFFERING", align: right },
      { title: "REVENUE", align: right },
      { title: "SHOP NOW", align: right },
    ],
    found.map(({ audit: { revenueDate, version, state, document: text }, document }) => [
      revenueDate,
      version === null ? "" : String(version),
      state === "failed" ? `failed: ${(JSON.parse(text ?? "{}") as { reason?: string }).reason ?? ""}` : state,
      document ? formatCount(document.usersDiffering) : "",
      document?.revenue ? formatAmount(document.revenue.amountCents, scale) : "",
      document?.source ? formatAmount(document.source.amountCents, scale) : "",
    ]),
  )
}

/** Why a day has less than its verdict says. */
function renderErased(date: string, document: AuditDocument | undefined): string[] {
  if (!document?.rowsErased) return []
  return [`${date}: ${formatNumberOf(Number(document.rowsErased), "row")} erased since its verdict, of forgotten users`]
}

/** The first users of the first drifted shard. */
function renderUsers(date: string, document: AuditDocument | undefined, scale: number): string[] {
  const [first] = document?.drifted ?? []
  if (!first) return []
  return [
    `${date}, shard ${first.index}:`,
    ...renderChanges(first.users.map(parseChange), scale).map((line) => `  ${line}`),
  ]
}
