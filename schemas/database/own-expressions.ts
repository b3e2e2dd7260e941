import type { SourceDeclaration, TimeKind } from "./shop-declaration.ts"
import { type UserType, userLiteral } from "./user-type.ts"

/*
 * How a table is read as it is: expressions over the shop's own columns, in SQL, which a SELECT evaluates. Nothing is added to the
 * table. `day-scan` and `user-batches` read by them; `day-slice` reads columns that are generated from the same declaration.
 */

/** Reading through a table costs a second or two of CPU for so many rows, in each pass: up to then it needs no index of its time. */
export const SCAN_ROWS_MAX = 2_000_000

/** When a row happened, by the shop's own columns. */
interface OwnTime {
  column: string
  /** A column of TIME beside a `column` of DATE. */
  clock: string | undefined
  kind: TimeKind
}

export interface OwnExpressions {
  /** May be the guest, too. */
  userId: string
  /** Where `userId` is a column by itself: an index of each user's purchases begins with it. */
  userColumn: string | undefined
  /** The key that stands for nobody, besides NULL, as a literal. */
  guest: string | undefined
  /** Minor units; NULL where the amount is no whole number of them. */
  amountCents: string
  currency: string | undefined
  /** In the order of the layout's measures. */
  measures: string[]
  time: OwnTime
  /** Which rows count; undefined: all. */
  counts: string | undefined
}

// The widest column of a currency that Revenue's key has room for beside any user's.
export const CURRENCY_TYPE = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

const AMOUNT_BOUND = "9000000000000000000"

const quote = (name: string) => `\`${name}\``

export const LONE_COLUMN = /^[A-Za-z_$][\w$]*$/

/** A lone name is a column, also where it is a word of SQL. */
export const quoteColumn = (expression: string) => (LONE_COLUMN.test(expression) ? quote(expression) : expression)

/** The expressions that a declaration comes to. `measures` are in the order of the layout's. */
export function expressSource(
  { user, amount, time, counts, currency }: SourceDeclaration,
  userType: UserType,
  measures: { expression: string; scale: number }[],
): OwnExpressions {
  return {
    userId: user.column === undefined ? asUser(userType, user.expression ?? "NULL") : quote(user.column),
    userColumn: user.column,
    guest: user.guest === undefined ? undefined : guestLiteral(userType, String(user.guest)),
    amountCents: `CAST(${exactUnits(amount)} AS SIGNED)`,
    // Compared letter by letter, as Revenue's column does.
    currency:
      currency === undefined
        ? undefined
        : `CONVERT(COALESCE(RTRIM(${quoteColumn(currency)}), '') USING utf8mb4) COLLATE utf8mb4_bin`,
    measures: measures.map((measure) => `CAST(${exactUnits(measure)} AS SIGNED)`),
    time: { column: time.column, clock: time.clock, kind: time.kind },
    counts,
  }
}

/** An expression of users, with the type by which they are compared, ordered and grouped. */
export function asUser(userType: UserType, expression: string): string {
  if (userType.kind === "integer") return `(${expression})`
  if (userType.kind === "bytes") {
    const width = userType.sql.startsWith("BINARY") ? `(${userType.length})` : ""
    return `CAST((${expression}) AS BINARY${width})`
  }
  const charset = userType.collation.replace(/_.*$/, "")
  const text = `CONVERT((${expression}) USING ${charset})`
  return `${userType.sql.startsWith("CHAR") ? `RTRIM(${text})` : text} COLLATE ${userType.collation}`
}

export function guestLiteral(userType: UserType, guest: string): string {
  return userType.kind === "text" ? `'${guest.replaceAll("'", "''")}'` : userLiteral(userType, guest)
}

/**
 * An amount in minor units. NULL rather than rounded: who has bought for such an amount is named when the day is computed.
 * Nor beyond 64 bits, where the shop's own INSERT would fail.
 */
export function exactUnits({ expression, scale }: { expression: string; scale: number }): string {
  const units = scale === 0 ? `(${expression})` : `(${expression}) * ${10 ** scale}`
  return `IF(${units} = ROUND(${units}) AND ABS(${units}) < ${AMOUNT_BOUND}, ROUND(${units}), NULL)`
}
