import { createHash } from "node:crypto"
import * as v from "valibot"
import { parse } from "yaml"

/*
 * What a purchase is, where the shop's table is not the one that Daybook has in mind: a YAML file that says whose it is, how
 * much, when, and whether it counts. From it follow the columns that are read. What is not there as it is (a guest is user
 * 0, amounts have digits after the point, times are seconds, some rows do not count) becomes a virtual generated column,
 * which rewrites nothing, and all that a day needs is in one index.
 */

const identifier = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_$]{1,64}$/, "is no name of a table or column"))
const expression = v.pipe(v.string(), v.minLength(1, "is empty"))

const timeKinds = ["utc", "timestamp", "local", "epoch-seconds", "epoch-ms"] as const

const declarationSchema = v.strictObject({
  table: identifier,
  user: v.strictObject({
    column: identifier,
    /** The id that stands for nobody, besides NULL. */
    guest: v.optional(v.pipe(v.number(), v.integer("is no whole number"))),
  }),
  amount: v.strictObject({
    /** A column, or an expression of columns, in SQL. */
    expression,
    /** How many digits after the point make a minor unit: 2 for cents. */
    scale: v.pipe(v.number(), v.integer("is no whole number"), v.minValue(0), v.maxValue(6)),
  }),
  time: v.strictObject({ column: identifier, kind: v.picklist(timeKinds) }),
  /** Which rows are purchases, in SQL; all by default. */
  counts: v.optional(expression),
})

export type ShopDeclaration = v.InferOutput<typeof declarationSchema>

/** A column that Daybook adds to the shop's table; virtual, so that the table is not rewritten. */
export interface GeneratedColumn {
  name: string
  type: string
  expression: string
  /** Its comment, by which an older declaration is told from this one; empty: any column of that name will do. */
  comment: string
}

/** A column of the shop's own that a declaration speaks of. */
interface SourceColumn {
  name: string
  /** As in information_schema. */
  types: readonly string[]
  /** What it is declared to be. */
  meaning: string
}

/** How the shop's table is read. */
export interface ShopLayout {
  table: string
  columns: { userId: string; amountCents: string; purchasedAt: string; purchasedOn: string }
  generated: GeneratedColumn[]
  /** Columns from which others are generated, and the types that make those right. */
  sources: SourceColumn[]
  /** What the index for it is called. */
  index: string
  /** Times are those of a clock in the time zone in which a revenue date is a day, rather than UTC. */
  isLocalTime: boolean
  /** An amount may be NULL, which says that it is no whole number of minor units. */
  isAmountNullable: boolean
  /** Whether a day can be read through an index of the day; through one of each user's purchases if not. */
  hasDate: boolean
  /** Tells it from the layout of any other declaration; undefined where nothing is declared. */
  fingerprint: string | undefined
  /** What rows without a user must be, too, to be a guest's purchases. */
  guestsCount: string | undefined
}

/** The table as `npm run demo` makes it, and as a shop has it that declares nothing. */
export const plainLayout: ShopLayout = {
  table: "purchases",
  columns: {
    userId: "user_id",
    amountCents: "amount_cents",
    purchasedAt: "purchased_at",
    purchasedOn: "purchased_on",
  },
  // A shop may have a date of its own, of any making: this is what is advised where there is none.
  generated: [{ name: "purchased_on", type: "DATE", expression: "DATE(purchased_at)", comment: "" }],
  sources: [],
  index: "purchases_day_slice",
  isLocalTime: false,
  isAmountNullable: false,
  hasDate: true,
  fingerprint: undefined,
  guestsCount: undefined,
}

/** Reads a declaration. Throws an Error that names every field that is wrong. */
export function parseShopDeclaration(text: string): ShopDeclaration {
  const result = v.safeParse(declarationSchema, parse(text))
  if (result.success) return result.output
  const problems = result.issues.map((issue) => `${v.getDotPath(issue) ?? "it"} ${issue.message}`)
  throw new Error(problems.join("; "))
}

const quote = (name: string) => `\`${name}\``

export const integerTypes = ["tinyint", "smallint", "mediumint", "int", "bigint"] as const

const timeTypes: Record<(typeof timeKinds)[number], readonly string[]> = {
  utc: ["datetime"],
  local: ["datetime"],
  timestamp: ["timestamp"],
  "epoch-seconds": integerTypes,
  "epoch-ms": integerTypes,
}

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
  const { table, user, amount, time, counts } = declaration
  const generated: GeneratedColumn[] = []
  const generate = (name: string, type: string, of: string) => {
    const comment = `daybook ${digest(`${type} ${of}`)}`
    generated.push({ name, type, expression: of, comment })
    return name
  }
  // A generated column may not depend on the time zone of whoever writes, as one of a TIMESTAMP would.
  const hasDate = time.kind !== "timestamp"
  const known = user.guest === undefined ? quote(user.column) : `NULLIF(${quote(user.column)}, ${user.guest})`
  const who = hasDate || counts === undefined ? known : `IF(${counts}, ${known}, NULL)`
  const userId = who === quote(user.column) ? user.column : generate("daybook_user", "BIGINT", who)

  const units = amount.scale === 0 ? `(${amount.expression})` : `(${amount.expression}) * ${10 ** amount.scale}`
  // NULL rather than rounded: who has bought for such an amount is named when the day is computed. Nor beyond 64 bits,
  // where the shop's own INSERT would fail.
  const exact = `IF(${units} = ROUND(${units}) AND ABS(${units}) < ${AMOUNT_BOUND}, ROUND(${units}), NULL)`
  const amountCents = generate("daybook_amount", "BIGINT", exact)

  const at = {
    utc: undefined,
    timestamp: undefined,
    local: undefined,
    "epoch-seconds": atEpoch(quote(time.column)),
    "epoch-ms": atEpoch(`FLOOR(${quote(time.column)} / 1000)`),
  }[time.kind]
  const purchasedAt = at === undefined ? time.column : generate("daybook_at", "DATETIME", at)
  const date = `DATE(${at ?? quote(time.column)})`
  const purchasedOn = "daybook_on"
  if (hasDate) generate(purchasedOn, "DATE", counts === undefined ? date : `IF(${counts}, ${date}, NULL)`)

  return {
    table,
    columns: { userId, amountCents, purchasedAt, purchasedOn },
    generated,
    sources: [
      { name: user.column, types: integerTypes, meaning: "the user's id, a whole number" },
      { name: time.column, types: timeTypes[time.kind], meaning: `the time, of the kind ${time.kind}` },
    ],
    index: "daybook_day",
    isLocalTime: time.kind === "local",
    isAmountNullable: true,
    hasDate,
    fingerprint: digest(JSON.stringify(declaration)),
    guestsCount: hasDate ? undefined : counts,
  }
}
