import { type SQL, sql } from "drizzle-orm"
import { customType } from "drizzle-orm/mysql-core"

/*
 * What a shop knows its users by: whole numbers, texts with their collation, or bytes. Who is the same user, and who comes
 * before whom, is what the column says; ranges, Revenue and documents carry the shop's own key.
 */

/** A user's key: a number, a text as it is, or bytes in upper-case hexadecimal digits. */
export type UserId = bigint | string

export type UserType =
  | { kind: "integer"; isUnsigned: boolean; sql: string }
  | { kind: "text"; length: number; collation: string; sql: string }
  | { kind: "bytes"; length: number; sql: string }

/** What a shop that declares no type has. */
export const integerUsers: UserType = { kind: "integer", isUnsigned: false, sql: "BIGINT" }

// As long as the ledger's column of a range's ends; bytes are two digits there.
const TEXT_LENGTH_MAX = 255
const BYTES_LENGTH_MAX = 127

/**
 * Reads a type as SQL writes it: `bigint unsigned`, `char(36) collate ascii_bin`, `binary(16)`. Undefined if users cannot
 * be of that type.
 */
export function parseUserType(text: string): UserType | undefined {
  const words = text.trim().toLowerCase().replace(/\s+/g, " ")
  if (words === "bigint") return integerUsers
  if (words === "bigint unsigned") return { kind: "integer", isUnsigned: true, sql: "BIGINT UNSIGNED" }
  const chars = /^((?:var)?char) ?\((\d{1,3})\) collate (([a-z0-9]+)_[a-z0-9_]+)$/.exec(words)
  if (chars) {
    const [, type = "", digits, collation = "", charset = ""] = chars
    const length = Number(digits)
    // Of character sets with other units than bytes a text is not ordered as its bytes are.
    if (length < 1 || length > TEXT_LENGTH_MAX || /^(ucs2|utf16|utf16le|utf32)$/.test(charset)) return undefined
    const declared = `${type.toUpperCase()}(${length}) CHARACTER SET ${toUtf8mb3(charset)} COLLATE ${toUtf8mb3(collation)}`
    return { kind: "text", length, collation: toUtf8mb3(collation), sql: declared }
  }
  const bytes = /^((?:var)?binary) ?\((\d{1,3})\)$/.exec(words)
  const length = Number(bytes?.[2])
  if (!bytes || length < 1 || length > BYTES_LENGTH_MAX) return undefined
  return { kind: "bytes", length, sql: `${bytes[1]?.toUpperCase()}(${length})` }
}

/** What both servers call `utf8` in their tables of columns. */
const toUtf8mb3 = (name: string) => name.replace(/^utf8(?=_|$)/, "utf8mb3")

/** A column as information_schema describes it. */
interface ColumnType {
  /** `bigint`, `varchar`. */
  type: string
  /** `bigint(20) unsigned`, `varchar(64)`. */
  fullType: string
  /** Null for what is no text. */
  collation: string | null
}

/**
 * Whether a column holds keys of a type, in the type's own order. Whole numbers of any width do, also unsigned ones where
 * the type is signed: an id that does not fit then fails its shard, with a sentence.
 */
export function isColumnOf(userType: UserType, column: ColumnType): boolean {
  if (userType.kind === "integer") return /^(tiny|small|medium|big)?int$/.test(column.type)
  return parseUserType(describeUserColumn(column))?.sql === userType.sql
}

/** As a declaration names the type of a column. */
export function describeUserColumn({ fullType, collation }: ColumnType): string {
  // MariaDB gives a width of integers, which means nothing.
  const type = fullType.replace(/int\(\d+\)/, "int")
  return collation === null ? type : `${type} collate ${collation}`
}

/** A key as a literal that needs no escape and compares as the column says. Throws a RangeError for what is no such key. */
export function userLiteral(type: UserType, id: UserId): string {
  if (type.kind === "integer") return String(BigInt(id))
  if (type.kind === "text") return `_utf8mb4 x'${Buffer.from(String(id)).toString("hex")}'`
  if (!/^([0-9A-F]{2})*$/.test(String(id))) throw new RangeError(`${String(id)} is no row of bytes`)
  return `x'${id}'`
}

/** A key as messages, documents and people have it. Throws a RangeError for what is no such key. */
export function parseUserId(type: UserType, text: string): UserId {
  if (type.kind === "integer") {
    if (/^-?\d+$/.test(text)) return BigInt(text)
    throw new RangeError(`the user ${text} is no whole number: SHOP_FILE must be what the shop is read by`)
  }
  if (type.kind === "bytes" && !/^([0-9A-F]{2})*$/.test(text)) throw new RangeError(`${text} is no row of bytes`)
  return text
}

/** A key as a column that SELECT gives as text. */
export function selectUser(type: UserType, column: SQL): SQL {
  return type.kind === "bytes" ? sql`HEX(${column})` : column
}

/** What is the same for all keys that the column takes for one user, and for no others, as bytes. */
export function identityOfUser(type: UserType, column: SQL): SQL {
  if (type.kind === "integer") return sql`CAST(${column} AS CHAR)`
  if (type.kind === "bytes") return column
  const { collation } = type
  if (!isPadded(type)) return isBinary(type) ? sql`CAST(${column} AS BINARY)` : sql`WEIGHT_STRING(${column})`
  if (isBinary(type)) return sql`CAST(RTRIM(${column}) AS BINARY)`
  return sql`TRIM(TRAILING ${sql.raw(weightOfSpace(collation))} FROM WEIGHT_STRING(${column}))`
}

/** What orders keys as their column does, to be compared digit by digit; undefined for numbers, which order themselves. */
export function orderOfUser(type: UserType, column: SQL): SQL | undefined {
  if (type.kind === "integer") return undefined
  const identity = identityOfUser(type, column)
  if (type.kind === "bytes" || !isPadded(type)) return sql`HEX(${identity})`
  // As if the shorter text ended in spaces, which some characters come before. Not of the text but of what it weighs: a
  // character may weigh nothing, or as much as several.
  const space = isBinary(type) ? "' '" : weightOfSpace(type.collation)
  return sql`HEX(CONCAT(${identity}, REPEAT(${sql.raw(space)}, ${sql.raw(String(type.length))})))`
}

type TextType = UserType & { kind: "text" }

const isPadded = ({ collation }: TextType) => !/_0900_|nopad/.test(collation)

/** Texts are compared by their bytes. */
const isBinary = ({ collation }: TextType) => collation.endsWith("_bin")

const weightOfSpace = (collation: string) =>
  `WEIGHT_STRING(CONVERT(' ' USING ${collation.replace(/_.*$/, "")}) COLLATE ${collation})`

/** Columns of keys, in the shop's tables and in Revenue. */
export function userColumn(type: UserType) {
  return customType<{ data: UserId; driverData: SQL | string }>({
    dataType: () => type.sql.toLowerCase(),
    toDriver: (id) => sql.raw(userLiteral(type, id)),
    fromDriver: (value: unknown) =>
      parseUserId(type, Buffer.isBuffer(value) ? value.toString("hex").toUpperCase() : String(value)),
  })
}
