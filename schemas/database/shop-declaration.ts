import * as v from "valibot"
import { parse } from "yaml"
import { parseUserType } from "./user-type.ts"

/*
 * What a purchase is, where the shop's tables are not the one that Daybook has in mind: a YAML file that says whose it is,
 * how much, when, and whether it counts. Where refunds or further purchases are in tables of their own, it lists several
 * sources, which are added up.
 */

const NAME = "[A-Za-z0-9_$]{1,64}"
const identifier = v.pipe(v.string(), v.regex(new RegExp(`^${NAME}$`), "is no name of a table or column"))
const tableName = v.pipe(v.string(), v.regex(new RegExp(`^(${NAME}\\.)?${NAME}$`), "is no name of a table"))
const expression = v.pipe(v.string(), v.minLength(1, "is empty"))

// date: a column of DATE that is the revenue date as it stands, in whatever time zone the shop writes it.
const timeKinds = ["utc", "timestamp", "local", "epoch-seconds", "epoch-ms", "date"] as const
export type TimeKind = (typeof timeKinds)[number]

/** An amount of money: a column, or an expression of columns, in SQL. */
const money = v.strictObject({
  expression,
  /** How many digits after the point make a minor unit: 2 for cents. */
  scale: v.pipe(v.number(), v.integer("is no whole number"), v.minValue(0), v.maxValue(6)),
})

// Names of columns that Revenue has already, and of those that are generated for other purposes.
const taken = [
  "revenue_date",
  "version",
  "user_id",
  "currency",
  "amount_cents",
  "purchases",
  "user",
  "amount",
  "at",
  "on",
]
const measureName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9_]{0,39}$/, "is no name of a measure: lower-case letters, digits, _"),
  v.check((name) => !taken.includes(name), "is the name of a column that there is already"),
)

const sourceFields = {
  /** May name its schema: `shop.orders`. */
  table: tableName,
  user: v.pipe(
    v.strictObject({
      column: v.optional(identifier),
      /** In the place of a column, in SQL: `CONCAT_WS(':', tenant_id, user_id)`. */
      expression: v.optional(expression),
      /** The key that stands for nobody, besides NULL. */
      guest: v.optional(v.union([v.pipe(v.number(), v.integer("is no whole number")), v.string()])),
    }),
    v.check(
      (user) => (user.column === undefined) !== (user.expression === undefined),
      "needs either a column or an expression",
    ),
  ),
  amount: money,
  time: v.pipe(
    v.strictObject({
      column: identifier,
      /** A column of TIME, where `column` is a DATE and both together are the time. */
      clock: v.optional(identifier),
      kind: v.picklist(timeKinds),
    }),
    v.check(
      ({ clock, kind }) => clock === undefined || kind === "utc" || kind === "local",
      "has a clock, and so must be of the kind utc or local",
    ),
  ),
  /** Which rows count, in SQL; all by default. */
  counts: v.optional(expression),
  /** Of which currency a row is, in SQL. It becomes part of Revenue's key. */
  currency: v.optional(expression),
  /** Further sums for each user, by the names of Revenue's columns. */
  measures: v.optional(v.record(measureName, money)),
  /** False: a row changes amounts and is no purchase of its own, such as a refund. */
  purchase: v.optional(v.boolean()),
}

const sharedFields = {
  /** The type of the users' column; BIGINT by default. */
  userType: v.optional(
    v.pipe(
      v.string(),
      v.transform(parseUserType),
      v.check(
        (type) => type !== undefined,
        "is none of bigint, bigint unsigned, char(n) collate …, varchar(n) collate … up to 255, binary(n), varbinary(n) up to 127",
      ),
    ),
  ),
}

const oneSource = v.strictObject({ ...sharedFields, ...sourceFields })
const severalSources = v.strictObject({
  ...sharedFields,
  sources: v.pipe(v.array(v.strictObject(sourceFields)), v.minLength(1, "has no source")),
})

export type SourceDeclaration = v.InferOutput<v.StrictObjectSchema<typeof sourceFields, undefined>>

export interface ShopDeclaration {
  userType: ReturnType<typeof parseUserType>
  sources: SourceDeclaration[]
}

/** Reads a declaration. Throws an Error that names every field that is wrong. */
export function parseShopDeclaration(text: string): ShopDeclaration {
  const document: unknown = parse(text)
  const hasSources = typeof document === "object" && document !== null && "sources" in document
  const result = v.safeParse(hasSources ? severalSources : oneSource, document)
  if (!result.success) {
    throw new Error(result.issues.map((issue) => `${v.getDotPath(issue) ?? "it"} ${issue.message}`).join("; "))
  }
  const { userType, ...rest } = result.output
  const sources = "sources" in rest ? rest.sources : [rest]
  refuseDisagreement(sources)
  refuseUntyped(userType, sources)
  return { userType, sources }
}

/** Of a column the type is looked up; that of an expression nobody knows. */
function refuseUntyped(userType: ShopDeclaration["userType"], sources: SourceDeclaration[]): void {
  if (userType !== undefined || sources.every(({ user }) => user.expression === undefined)) return
  throw new Error("userType is missing: where a user is an expression, it says of which type the keys are")
}

/** What is added up must be of the same kind. */
function refuseDisagreement(sources: SourceDeclaration[]): void {
  const problems: string[] = []
  const [first, ...others] = sources
  for (const source of others) {
    if ((source.currency === undefined) !== (first?.currency === undefined)) {
      problems.push(`${source.table}: either every source says its currency or none does`)
    }
    if (source.amount.scale !== first?.amount.scale) {
      problems.push(`${source.table}: every source needs the same scale of amounts: they are added up`)
    }
    if (measureNames(source).join() !== (first ? measureNames(first).join() : "")) {
      problems.push(`${source.table}: every source needs the same measures: 0 is an expression, too`)
    }
  }
  const names = sources.map(({ table }) => table)
  if (new Set(names).size < names.length) problems.push("a table is named twice: its columns are made for one source")
  if (problems.length > 0) throw new Error(problems.join("; "))
}

export function measureNames({ measures = {} }: Pick<SourceDeclaration, "measures">): string[] {
  return Object.keys(measures).toSorted((a, b) => (a < b ? -1 : 1))
}
