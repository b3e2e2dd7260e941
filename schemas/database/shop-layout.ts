import { createHash } from "node:crypto"
import { measureNames, type ShopDeclaration, type SourceDeclaration, type TimeKind } from "./shop-declaration.ts"
import { integerUsers, type UserType, userLiteral } from "./user-type.ts"

/*
 * How the shop's tables are read: the columns that a declaration comes to. What is not there as it is (a guest is user 0,
 * amounts have digits after the point, times are seconds, some rows do not count) becomes a virtual generated column, which
 * rewrites nothing, and all that a day needs is in one index.
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
  /** A row that does not count has no date: who does not read by the date has to look at it. */
  isDateCounted: boolean
  /** What rows without a user must be, too, to be a guest's purchases. */
  guestsCount: string | undefined
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
  /** Whether a day can be read through an index of the day; through one of each user's purchases if not. */
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
      isDateCounted: false,
      guestsCount: undefined,
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

// The widest column of a currency that Revenue's key has room for beside any user's.
export const CURRENCY_TYPE = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

const AMOUNT_BOUND = "9000000000000000000"

// A number of seconds beyond the year 9999 is no time of any day, and would fail the shop's own INSERT.
const EPOCH_SECONDS_MAX = 253_402_300_799

/** MariaDB takes no CAST to DATETIME into an index, and both take a literal. */
const EPOCH = "TIMESTAMP'1970-01-01 00:00:00'"

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16)

const atEpoch = (seconds: string) =>
  `IF(${seconds} BETWEEN 0 AND ${EPOCH_SECONDS_MAX}, ${EPOCH} + INTERVAL ${seconds} SECOND, NULL)`

/** The columns that a declaration comes to. */
export function layOutShop(declaration: ShopDeclaration): ShopLayout {
  const { userType = integerUsers, sources } = declaration
  // A generated column may not depend on the time zone of whoever writes, as one of a TIMESTAMP would. All sources are
  // read in the same way.
  const hasDate = sources.every(({ time }) => time.kind !== "timestamp")
  const [first, ...others] = sources
  if (!first) throw new Error("sources has no source")
  const layOut = (source: SourceDeclaration) => layOutSource(source, userType, hasDate)
  return {
    userType,
    sources: [layOut(first), ...others.map(layOut)],
    hasCurrency: first.currency !== undefined,
    measures: measureNames(first),
    scale: first.amount.scale,
    isAmountNullable: true,
    hasDate,
    fingerprint: digest(JSON.stringify(declaration)),
  }
}

function layOutSource(source: SourceDeclaration, userType: UserType, hasDate: boolean): SourceLayout {
  const { table, user, amount, time, counts, currency, measures = {}, purchase = true } = source
  const generated: GeneratedColumn[] = []
  const generate = (name: string, type: string, of: string) => {
    generated.push({ name, type, expression: of, comment: `daybook ${digest(`${type} ${of}`)}` })
    return name
  }
  const isCounted = hasDate || counts === undefined
  const who = isCounted ? knownUser(userType, user) : `IF(${counts}, ${knownUser(userType, user)}, NULL)`
  const isOwn = isCounted && user.guest === undefined
  const userId = isOwn ? user.column : generate("daybook_user", userType.sql, who)

  const at = {
    utc: undefined,
    timestamp: undefined,
    local: undefined,
    "epoch-seconds": atEpoch(quote(time.column)),
    "epoch-ms": atEpoch(`FLOOR(${quote(time.column)} / 1000)`),
  }[time.kind]
  const amountCents = generate("daybook_amount", "BIGINT", exactUnits(amount))
  const purchasedAt = at === undefined ? time.column : generate("daybook_at", "DATETIME", at)
  const date = `DATE(${at ?? quote(time.column)})`
  const purchasedOn = "daybook_on"
  if (hasDate) generate(purchasedOn, "DATE", counts === undefined ? date : `IF(${counts}, ${date}, NULL)`)

  return {
    table,
    columns: {
      userId,
      amountCents,
      purchasedAt,
      purchasedOn,
      // Of a CHAR MariaDB takes only what is trimmed: else it would depend on who reads (PAD_CHAR_TO_FULL_LENGTH).
      currency:
        currency === undefined
          ? undefined
          : generate("daybook_currency", CURRENCY_TYPE, `COALESCE(RTRIM(${quoteColumn(currency)}), '')`),
      measures: measureNames(source).flatMap((name) => {
        const measure = measures[name]
        return measure ? generate(`daybook_${name}`, "BIGINT", exactUnits(measure)) : []
      }),
    },
    generated,
    declared: [
      { name: user.column, types: userTypes[userType.kind], meaning: userMeaning[userType.kind] },
      { name: time.column, types: timeTypes[time.kind], meaning: `the time, of the kind ${time.kind}` },
      ...[amount, ...Object.values(measures)].flatMap(declareAmount),
    ],
    index: "daybook_day",
    isLocalTime: time.kind === "local",
    isPurchase: purchase,
    isDateCounted: hasDate && counts !== undefined,
    guestsCount: hasDate ? undefined : counts,
  }
}

const LONE_COLUMN = /^[A-Za-z_$][\w$]*$/

/** A lone name is a column, also where it is a word of SQL. */
const quoteColumn = (expression: string) => (LONE_COLUMN.test(expression) ? quote(expression) : expression)

/** A column that is an amount by itself must be exact; what an expression comes to is looked at row by row. */
function declareAmount({ expression }: { expression: string }): DeclaredColumn[] {
  if (!LONE_COLUMN.test(expression)) return []
  const types = [...integerTypes, "decimal"]
  const meaning = `an amount, exact to the minor unit (an expression such as CAST(${expression} AS DECIMAL(20,2)) says how it is rounded)`
  return [{ name: expression, types, meaning }]
}

/** The user of a row; NULL for a guest. Trimmed where it is a CHAR, for the reason above. */
function knownUser(userType: UserType, { column, guest }: SourceDeclaration["user"]): string {
  const key = userType.sql.startsWith("CHAR") ? `RTRIM(${quote(column)})` : quote(column)
  if (guest === undefined) return key
  const text = String(guest)
  return `NULLIF(${key}, ${userType.kind === "text" ? `'${text.replaceAll("'", "''")}'` : userLiteral(userType, text)})`
}

/**
 * An amount in minor units. NULL rather than rounded: who has bought for such an amount is named when the day is computed.
 * Nor beyond 64 bits, where the shop's own INSERT would fail.
 */
function exactUnits({ expression, scale }: { expression: string; scale: number }): string {
  const units = scale === 0 ? `(${expression})` : `(${expression}) * ${10 ** scale}`
  return `IF(${units} = ROUND(${units}) AND ABS(${units}) < ${AMOUNT_BOUND}, ROUND(${units}), NULL)`
}
