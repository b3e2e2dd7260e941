import { createHash } from "node:crypto"
import {
  asUser,
  CURRENCY_TYPE,
  exactUnits,
  expressSource,
  guestLiteral,
  LONE_COLUMN,
  type OwnExpressions,
  quoteColumn,
} from "./own-expressions.ts"
import { measureNames, type ShopDeclaration, type SourceDeclaration, type TimeKind } from "./shop-declaration.ts"
import { integerUsers, type UserType } from "./user-type.ts"

/*
 * How the shop's tables are read. By default that is by expressions over their own columns, and nothing is added to them. For
 * big days there may be an index of ours: what is not there as it is (a guest is user 0, amounts have digits after the point,
 * times are seconds, some rows do not count) becomes a virtual generated column, which rewrites nothing, and all that a day
 * needs is in that one index.
 */

/** A column that Daybook adds to the shop's table; virtual, so that the table is not rewritten. */
export interface GeneratedColumn {
  name: string
  type: string
  expression: string
  /** Its comment, by which an older declaration is told from this one; empty: any column of that name will do. */
  comment: string
}

/** A column of the shop's own that a declaration speaks of. */
interface DeclaredColumn {
  name: string
  /** As in information_schema. */
  types: readonly string[]
  /** What it is declared to be. */
  meaning: string
}

/** How one table is read. */
export interface SourceLayout {
  /** As it is declared: `orders`, `shop.orders`. */
  table: string
  /** How it is read as it is. */
  own: OwnExpressions
  /** What an index of the day is made of. */
  columns: {
    userId: string
    amountCents: string
    purchasedAt: string
    purchasedOn: string
    /** Undefined where amounts are all of one currency. */
    currency: string | undefined
    /** In the order of the layout's measures. */
    measures: string[]
  }
  generated: GeneratedColumn[]
  /** Columns from which others are generated, and the types that make those right. */
  declared: DeclaredColumn[]
  /** What the index for it is called. */
  index: string
  /** Times are those of a clock in the time zone in which a revenue date is a day, rather than UTC. */
  isLocalTime: boolean
  /** A row is a purchase, rather than what only changes amounts. */
  isPurchase: boolean
}

/** How the shop is read. */
export interface ShopLayout {
  userType: UserType
  sources: [SourceLayout, ...SourceLayout[]]
  /** Whether amounts are of several currencies. */
  hasCurrency: boolean
  /** Names of further sums, which are Revenue's columns for them. */
  measures: string[]
  /** How many digits after the point make a minor unit of an amount. */
  scale: number
  /** An amount may be NULL, which says that it is no whole number of minor units. */
  isAmountNullable: boolean
  /** Whether there can be an index of the day. */
  hasDate: boolean
  /** Tells it from the layout of any other declaration; undefined where nothing is declared. */
  fingerprint: string | undefined
}

/** The table as `npm run demo` makes it, and as a shop has it that declares nothing. */
export const plainLayout: ShopLayout = {
  userType: integerUsers,
  sources: [
    {
      table: "purchases",
      own: {
        userId: "`user_id`",
        userColumn: "user_id",
        guest: undefined,
        amountCents: "`amount_cents`",
        currency: undefined,
        measures: [],
        time: { column: "purchased_at", clock: undefined, kind: "utc" },
        counts: undefined,
      },
      columns: {
        userId: "user_id",
        amountCents: "amount_cents",
        purchasedAt: "purchased_at",
        purchasedOn: "purchased_on",
        currency: undefined,
        measures: [],
      },
      // A shop may have a date of its own, of any making: this is what is advised where there is none.
      generated: [{ name: "purchased_on", type: "DATE", expression: "DATE(purchased_at)", comment: "" }],
      declared: [],
      index: "purchases_day_slice",
      isLocalTime: false,
      isPurchase: true,
    },
  ],
  hasCurrency: false,
  measures: [],
  scale: 2,
  isAmountNullable: false,
  hasDate: true,
  fingerprint: undefined,
}

const quote = (name: string) => `\`${name}\``

export const integerTypes = ["tinyint", "smallint", "mediumint", "int", "bigint"] as const

const timeTypes: Record<TimeKind, readonly string[]> = {
  utc: ["datetime"],
  local: ["datetime"],
  timestamp: ["timestamp"],
  "epoch-seconds": integerTypes,
  "epoch-ms": integerTypes,
  date: ["date"],
}

const userTypes: Record<UserType["kind"], readonly string[]> = {
  integer: integerTypes,
  text: ["char", "varchar"],
  bytes: ["binary", "varbinary"],
}

const userMeaning: Record<UserType["kind"], string> = {
  integer: "the user's id, a whole number, as no other userType is declared",
  text: "the user's key, a text",
  bytes: "the user's key, bytes",
}

// A number of seconds beyond the year 9999 is no time of any day, and would fail the shop's own INSERT.
const EPOCH_SECONDS_MAX = 253_402_300_799

/** MariaDB takes no CAST to DATETIME into an index, and both take a literal. */
const EPOCH = "TIMESTAMP'1970-01-01 00:00:00'"

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16)

const atEpoch = (seconds: string) =>
  `IF(${seconds} BETWEEN 0 AND ${EPOCH_SECONDS_MAX}, ${EPOCH} + INTERVAL ${seconds} SECOND, NULL)`

/** The layout that a declaration comes to. */
export function layOutShop(declaration: ShopDeclaration): ShopLayout {
  const { userType = integerUsers, sources } = declaration
  const [first, ...others] = sources
  if (!first) throw new Error("sources has no source")
  const layOut = (source: SourceDeclaration) => layOutSource(source, userType)
  return {
    userType,
    sources: [layOut(first), ...others.map(layOut)],
    hasCurrency: first.currency !== undefined,
    measures: measureNames(first),
    scale: first.amount.scale,
    isAmountNullable: true,
    // A generated column may not depend on the time zone of whoever writes, as one of a TIMESTAMP would. All sources are
    // read in the same way.
    hasDate: sources.every(({ time }) => time.kind !== "timestamp"),
    fingerprint: digest(JSON.stringify(declaration)),
  }
}

function layOutSource(source: SourceDeclaration, userType: UserType): SourceLayout {
  const { table, user, amount, time, counts, currency, purchase = true } = source
  const measures = measureNames(source).flatMap((name) => {
    const measure = source.measures?.[name]
    return measure ? [{ name, ...measure }] : []
  })
  const generated: GeneratedColumn[] = []
  const generate = (name: string, type: string, of: string) => {
    generated.push({ name, type, expression: of, comment: `daybook ${digest(`${type} ${of}`)}` })
    return name
  }
  const isOwnUser = user.column !== undefined && user.guest === undefined
  const userId = isOwnUser ? user.column : generate("daybook_user", userType.sql, knownUser(userType, user))

  const at = toDateTime(time)
  const amountCents = generate("daybook_amount", "BIGINT", exactUnits(amount))
  const purchasedAt = at === undefined ? time.column : generate("daybook_at", "DATETIME", at)
  const date = `DATE(${at ?? quote(time.column)})`
  const purchasedOn = generate("daybook_on", "DATE", counts === undefined ? date : `IF(${counts}, ${date}, NULL)`)

  return {
    table,
    own: expressSource(source, userType, measures),
    columns: {
      userId: userId ?? "daybook_user",
      amountCents,
      purchasedAt,
      purchasedOn,
      // Of a CHAR MariaDB takes only what is trimmed: else it would depend on who reads (PAD_CHAR_TO_FULL_LENGTH).
      currency:
        currency === undefined
          ? undefined
          : generate("daybook_currency", CURRENCY_TYPE, `COALESCE(RTRIM(${quoteColumn(currency)}), '')`),
      measures: measures.map((measure) => generate(`daybook_${measure.name}`, "BIGINT", exactUnits(measure))),
    },
    generated,
    declared: [
      ...(user.column === undefined
        ? []
        : [{ name: user.column, types: userTypes[userType.kind], meaning: userMeaning[userType.kind] }]),
      ...declareTime(time),
      ...[amount, ...measures].flatMap(declareAmount),
    ],
    index: "daybook_day",
    isLocalTime: time.kind === "local" || time.kind === "date",
    isPurchase: purchase,
  }
}

/** What makes a DATETIME of a time that is none; undefined where the column is one. */
function toDateTime({ column, clock, kind }: SourceDeclaration["time"]): string | undefined {
  if (clock !== undefined) return `TIMESTAMP(${quote(column)}, ${quote(clock)})`
  if (kind === "epoch-seconds") return atEpoch(quote(column))
  return kind === "epoch-ms" ? atEpoch(`FLOOR(${quote(column)} / 1000)`) : undefined
}

function declareTime({ column, clock, kind }: SourceDeclaration["time"]): DeclaredColumn[] {
  if (clock === undefined) return [{ name: column, types: timeTypes[kind], meaning: `the time, of the kind ${kind}` }]
  return [
    { name: column, types: ["date"], meaning: `the date of a time of the kind ${kind}` },
    { name: clock, types: ["time"], meaning: `the time of day beside ${column}` },
  ]
}

/** A column that is an amount by itself must be exact; what an expression comes to is looked at row by row. */
function declareAmount({ expression }: { expression: string }): DeclaredColumn[] {
  if (!LONE_COLUMN.test(expression)) return []
  const types = [...integerTypes, "decimal"]
  const meaning = `an amount, exact to the minor unit (an expression such as CAST(${expression} AS DECIMAL(20,2)) says how it is rounded)`
  return [{ name: expression, types, meaning }]
}

/** The user of a row; NULL for a guest. Trimmed where it is a CHAR, for the reason above. */
function knownUser(userType: UserType, { column, expression = "NULL", guest }: SourceDeclaration["user"]): string {
  const own = column === undefined ? asUser(userType, expression) : quote(column)
  const key = column !== undefined && userType.sql.startsWith("CHAR") ? `RTRIM(${own})` : own
  return guest === undefined ? key : `NULLIF(${key}, ${guestLiteral(userType, String(guest))})`
}
