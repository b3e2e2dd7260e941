import type { Connection, RowDataPacket } from "mysql2/promise"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { kindOfVersion } from "../fixtures/test-database.ts"

/*
 * The database itself writes down what was committed: an entry exists if and only if its transaction landed. This knows
 * the tables' columns and nothing of the code that writes them. A trigger on `shards` changes what a claim sees
 * (LAST_INSERT_ID is lost across triggers), so that on MariaDB that table keeps its history by system versioning instead.
 * MySQL has nothing of the kind: there every claim reads back what it got.
 */

const statements = [
  `CREATE TABLE audit (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    event VARCHAR(16) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    dispatch INT NULL,
    version INT NULL,
    shard INT NULL,
    epoch INT NULL)`,
  `CREATE TRIGGER audit_runs AFTER UPDATE ON runs FOR EACH ROW
    IF NOT NEW.decided_at <=> OLD.decided_at AND NEW.decided_at IS NOT NULL THEN
      INSERT INTO audit (event, run_id, dispatch, version)
      VALUES (NEW.state, NEW.run_id, NEW.dispatch, NEW.version);
    END IF`,
  `CREATE TRIGGER audit_published AFTER UPDATE ON published_days FOR EACH ROW
    IF NEW.version <> OLD.version THEN
      INSERT INTO audit (event, run_id, version)
      VALUES ('published', NEW.run_id, NEW.version);
    END IF`,
  `CREATE TRIGGER audit_published_first AFTER INSERT ON published_days FOR EACH ROW
    INSERT INTO audit (event, run_id, version)
    VALUES ('published', NEW.run_id, NEW.version)`,
]

/** How the history of `shards` is kept, and what was done by it. */
const shardHistory: Record<ServerKind, { keep: string; done: string }> = {
  mariadb: {
    keep: "ALTER TABLE shards ADD SYSTEM VERSIONING",
    done: `SELECT DISTINCT 'done' AS event, run_id AS runId, dispatch, shard_index AS shard, epoch, committed_at
     FROM shards FOR SYSTEM_TIME ALL WHERE run_id LIKE ? AND state = 'done'`,
  },
  mysql: {
    keep: `CREATE TRIGGER audit_shards AFTER UPDATE ON shards FOR EACH ROW
    IF NEW.state = 'done' AND NOT (OLD.state = 'done' AND OLD.epoch = NEW.epoch AND OLD.committed_at <=> NEW.committed_at) THEN
      INSERT INTO audit (event, run_id, dispatch, shard, epoch)
      VALUES ('done', NEW.run_id, NEW.dispatch, NEW.shard_index, NEW.epoch);
    END IF`,
    done: `SELECT event, run_id AS runId, dispatch, shard, epoch FROM audit
     WHERE run_id LIKE ? AND event = 'done' ORDER BY id`,
  },
}

export interface AuditEntry {
  event: "done" | "complete" | "incomplete" | "held" | "cancelled" | "published"
  runId: string
  dispatch: number | null
  shard?: number
  epoch?: number
  version?: number | null
}

export async function createAudit(connection: Connection): Promise<void> {
  const { keep } = shardHistory[await kindOfServer(connection)]
  for (const statement of [...statements, keep]) await connection.query(statement)
}

async function kindOfServer(connection: Connection): Promise<ServerKind> {
  const [rows] = await connection.query<RowDataPacket[]>("SELECT VERSION() AS version")
  return kindOfVersion(String(rows[0]?.["version"]))
}

/** What was committed for the runs of a date: first the shards that were done, then the decisions in their order. */
export async function readAudit(connection: Connection, date: string): Promise<AuditEntry[]> {
  const { done: doneBefore } = shardHistory[await kindOfServer(connection)]
  const [done] = await connection.query<RowDataPacket[]>(doneBefore, [`${date}-%`])
  const [decided] = await connection.query<RowDataPacket[]>(
    "SELECT event, run_id AS runId, dispatch, version FROM audit WHERE run_id LIKE ? AND event <> 'done' ORDER BY id",
    [`${date}-%`],
  )
  return [...done, ...decided] as unknown as AuditEntry[]
}
