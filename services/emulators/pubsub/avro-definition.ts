import avro from "avsc"
import type { CheckMessage } from "./schema-definition.ts"

// https://cloud.google.com/pubsub/docs/schemas#schema_quotas_and_limits
const DEFINITION_BYTES_MAX = 300 * 1024

/** Reads an Avro schema, which must be a record, or throws a sentence that says why it is none. */
export function readAvro(definition: string): CheckMessage {
  if (Buffer.byteLength(definition) > DEFINITION_BYTES_MAX) throw new Error("The definition is longer than 300 KB.")
  const type = avro.Type.forSchema(JSON.parse(definition) as avro.Schema, { noAnonymousTypes: true })
  if (type.typeName !== "record") throw new Error("The top level of an Avro schema must be a record.")
  return (encoding, data) => {
    // By Avro's own JSON: a value of a union has its type beside it.
    if (encoding === "JSON") type.fromString(new TextDecoder("utf-8", { fatal: true }).decode(data))
    else type.fromBuffer(Buffer.from(data))
  }
}
