import { type SQL, sql } from "drizzle-orm"

/*
 * Where MariaDB and Oracle MySQL want to be asked differently. Each reads its part of one statement, so that nobody has
 * to ask first which of them it is: MySQL 8 and newer executes comments that begin with `!80000`, which MariaDB has
 * passed over since 10.0.21 (it ignores 50700 to 99999: https://mariadb.com/kb/en/comment-syntax/), and MariaDB alone
 * executes those that begin with `M!`.
 *
 * Tried on Oracle MySQL 9.7 and on MariaDB 10.11 and 11.8. What is known of the others from their manuals: MySQL 8.0 and
 * 8.4 give EXPLAIN as rows by default and know FORMAT=TRADITIONAL; SHOW REPLICA STATUS is there since MySQL 8.0.22 and
 * MariaDB 10.5; MySQL has no MD5() since 9.6, which is why checksums are made of CRC32 (day/checksum.ts); the loose scan
 * and the range of a batch are in all of MySQL 8 and MariaDB 10.6 and newer. Nothing else is asked for that only some have.
 */

const inMySql = (part: SQL) => sql`/*!80000 ${part} */`
const inMariaDb = (part: SQL) => sql`/*M! ${part} */`

/** The end of a SET SESSION: no statement is cut short, whatever the server's own limit is. */
export const STATEMENT_TIME_UNLIMITED = "/*!80000 , max_execution_time = 0 *//*M! , max_statement_time = 0 */"

/** What EXPLAIN says of one table that a query reads. */
export interface ExplainRow {
  /** How it is read: `ALL` and `index` go through all of it. Null where no table is read. */
  type: string | null
  /** Bytes of the index that narrow what is read. */
  key_len: string | null
  /** An estimate. */
  rows: string | number | null
  /** `Using index`, among others: the index has all that the query needs. */
  Extra: string | null
}

/** EXPLAIN in the form of rows, which MySQL 9 gives only where it is asked for, and MariaDB knows by no name. */
export function explain(query: SQL): SQL {
  return sql`EXPLAIN ${inMySql(sql`FORMAT=TRADITIONAL`)} ${query}`
}

/**
 * Reads through an index and none else, for a query whose estimate is wanted. MySQL's FORCE INDEX skips the dives into the
 * index by which it estimates (it says 1 row of any number), and USE INDEX does not; MariaDB estimates with either, and
 * scans the table in spite of USE INDEX.
 */
export function indexForEstimate(name: string): SQL {
  const index = sql.identifier(name)
  return sql`${inMySql(sql`USE INDEX (${index})`)} ${inMariaDb(sql`FORCE INDEX (${index})`)}`
}
