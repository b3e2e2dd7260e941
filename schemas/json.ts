import {
  create,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf"
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt"

/** A message or document that does not fit its schema. The text names the field. */
export class MalformedError extends Error {
  override readonly name = "MalformedError"
}

/**
 * Reads a message or document from its JSON text, strictly: an unknown field, a wrong type and a missing field are
 * each a `MalformedError` that names the field. A field is required unless the schema says `optional` or `repeated`;
 * of a `oneof` exactly one must be set. int64 comes as a string or number and becomes a bigint.
 */
export function parseJson<Desc extends DescMessage>(schema: Desc, text: string): MessageShape<Desc> {
  return parse(schema, text, false)
}

/**
 * Reads a document that Daybook has written. As strict, but that an unknown field is passed over: while a new version is
 * deployed, services of the old one read what the new one writes.
 */
export function parseDocument<Desc extends DescMessage>(schema: Desc, text: string): MessageShape<Desc> {
  return parse(schema, text, true)
}

function parse<Desc extends DescMessage>(schema: Desc, text: string, ignoreUnknownFields: boolean): MessageShape<Desc> {
  if (text.trim() === "") throw new MalformedError(`${schema.name}: empty; expected a JSON object`)
  if (text.startsWith("\uFEFF")) {
    throw new MalformedError(`${schema.name}: begins with a byte order mark (BOM), which JSON has not: leave it out`)
  }
  let json: JsonValue
  try {
    json = JSON.parse(text) as JsonValue
  } catch (cause) {
    throw new MalformedError(`${schema.name}: not JSON: ${(cause as Error).message}`, { cause })
  }
  const message = decode(schema, json, ignoreUnknownFields)
  requireFields(schema, json, schema.name)
  return message
}

/** Writes a message or document as JSON, with every required field in it even where it is zero. */
export function formatJson<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>, indent = 0): string {
  const json = toJson(schema, create(schema, init), { alwaysEmitImplicit: true })
  return JSON.stringify(json, (key, value: unknown) => (isLeftOut(key, value) ? undefined : value), indent)
}

/**
 * The message of another contract with what both have by the same names. Contracts share no types, as each is a file of
 * its own. Throws where a value of the one is none of the other.
 */
export function convertMessage<From extends DescMessage, To extends DescMessage>(
  from: From,
  message: MessageShape<From>,
  to: To,
): MessageShape<To> {
  return fromJson(to, toJson(from, message, { alwaysEmitImplicit: true }), { ignoreUnknownFields: true })
}

/** What was added later, and only some shops need, is not written where it is empty: other shops have what they had. */
function isLeftOut(key: string, value: unknown): boolean {
  return (key === "parts" || key === "measures" || key === "checks") && Object.keys(value as object).length === 0
}

function decode<Desc extends DescMessage>(
  schema: Desc,
  json: JsonValue,
  ignoreUnknownFields: boolean,
): MessageShape<Desc> {
  try {
    return fromJson(schema, json, { ignoreUnknownFields })
  } catch (cause) {
    throw new MalformedError(describeFault(schema, cause as Error), { cause })
  }
}

function requireFields(message: DescMessage, json: JsonValue, path: string): void {
  if (json === null || typeof json !== "object" || Array.isArray(json)) {
    throw new MalformedError(`${path}: expected a JSON object, got ${JSON.stringify(json)?.slice(0, 80)}`)
  }
  for (const field of message.fields) {
    // protobuf's JSON accepts a field under its JSON name and under its name in the .proto.
    const value = json[field.jsonName] ?? json[field.name]
    const fieldPath = `${path}.${field.jsonName}`
    if (value === undefined || value === null) {
      if (isRequired(field)) throw new MalformedError(`${fieldPath}: missing`)
    } else if (field.fieldKind === "message") {
      requireFields(field.message, value, fieldPath)
    } else if (field.fieldKind === "list" && field.listKind === "message" && Array.isArray(value)) {
      for (const [index, element] of value.entries()) requireFields(field.message, element, `${fieldPath}[${index}]`)
    }
  }
  for (const oneof of message.oneofs) {
    const names = oneof.fields.map((field) => field.jsonName)
    const given = oneof.fields.filter((field) => (json[field.jsonName] ?? json[field.name] ?? null) !== null)
    if (given.length === 0) throw new MalformedError(`${path}: missing: one of ${names.join(", ")}`)
    if (given.length > 1) throw new MalformedError(`${path}: only one of ${names.join(", ")} may be given`)
  }
}

function isRequired(field: DescField): boolean {
  if (field.fieldKind === "list" || field.fieldKind === "map" || field.oneof) return false
  if (field.fieldKind === "message") return !field.proto.proto3Optional
  return field.presence === FeatureSet_FieldPresence.IMPLICIT
}

/** `cannot decode field daybook.messages.RunRequest.date from JSON: expected string, got 5` → `RunRequest.date: expected …` */
function describeFault(schema: DescMessage, error: Error): string {
  const refusal = /^cannot decode (?:field |message )?(\S+) from JSON: (.*)$/s.exec(error.message)
  if (!refusal) return `${schema.name}: ${error.message}`
  const [, name = "", fault = ""] = refusal
  const unknown = /^key "(.*)" is unknown$/.exec(fault)
  const short = name.replace(`${schema.file.proto.package}.`, "")
  return unknown ? `${short}.${unknown[1]}: unknown field` : `${short}: ${fault}`
}
