import type { Connection, RowDataPacket } from "mysql2/promise"

/*
 * The database itself writes down what was committed: an entry exists if and only if its transaction landed. This knows
 * the tables' columns and nothing of the code that writes them. A trigger on `shards` would change what a claim sees
 * (LAST_INSERT_ID is lost across triggers), so that table keeps its history by MariaDB's system versioning instead.
 */

const statements = [
  `CREATE TABLE audit (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    event VARCHAR(16) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    dispatch INT NULL,
    version INT NULL)`,
  "ALTER TABLE shards ADD SYSTEM VERSIONING",
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

export interface AuditEntry {
  event: "done" | "complete" | "incomplete" | "published"
  runId: string
  dispatch: number | null
  shard?: number
  epoch?: number
  version?: number | null
}

export async function createAudit(connection: Connection): Promise<void> {
  for (const statement of statements) await connection.query(statement)
}

/** What was committed for the runs of a date: first the shards that were done, then the decisions in their order. */
export async function readAudit(connection: Connection, date: string): Promise<AuditEntry[]> {
  const [done] = await connection.query<RowDataPacket[]>(
    `SELECT DISTINCT 'done' AS event, run_id AS runId, dispatch, shard_index AS shard, epoch, committed_at
     FROM shards FOR SYSTEM_TIME ALL WHERE run_id LIKE ? AND state = 'done'`,
    [`${date}-%`],
  )
  const [decided] = await connection.query<RowDataPacket[]>(
    "SELECT event, run_id AS runId, dispatch, version FROM audit WHERE run_id LIKE ? ORDER BY id",
    [`${date}-%`],
  )
  return [...done, ...decided] as unknown as AuditEntry[]
}
