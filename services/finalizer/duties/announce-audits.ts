import type { Bucket } from "@google-cloud/storage"
import type { Database } from "../../../shared/database/open-database.ts"
import { auditPath } from "../../../shared/documents/document-paths.ts"
import { createDocument } from "../../../shared/documents/documents.ts"
import { listUnannouncedAudits, markAuditAnnounced } from "../../../shared/ledger/audits/announce-audit.ts"
import type { Audit } from "../../../shared/ledger/audits/find-audits.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { createWalk } from "./walk-list.ts"

export interface AnnounceAuditsContext {
  db: Database
  bucket: Bucket
  log: Log
}

// A document may have some megabytes.
const AUDITS_PER_CALL = 20

/** Makes the function that writes the documents of audits that have ended; done again, it writes the same. */
export function createAuditAnnouncing({ db, bucket, log }: AnnounceAuditsContext): () => Promise<"more" | void> {
  async function announce({ auditId, revenueDate, auditedAt, requestId, document }: Audit): Promise<void> {
    if (auditedAt && document) {
      // The next sweep repeats what fails.
      const options = { log, retriesMax: 1 }
      await createDocument(bucket, auditPath(revenueDate, auditedAt, requestId), document, options)
    }
    await markAuditAnnounced(db, auditId)
  }
  return createWalk({
    list: (after) => listUnannouncedAudits(db, AUDITS_PER_CALL, after?.auditId),
    pageSize: AUDITS_PER_CALL,
    work: announce,
  })
}
