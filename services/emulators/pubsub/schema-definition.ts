import { createFileRegistry, type DescMessage, fromBinary, fromJsonString } from "@bufbuild/protobuf"
import { type DescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt"
import protobuf from "protobufjs"
import descriptor from "protobufjs/ext/descriptor/index.js"

// https://cloud.google.com/pubsub/docs/schemas#schema_quotas_and_limits
const DEFINITION_BYTES_MAX = 300 * 1024

/** Throws unless the data is a message of the schema. */
export type CheckMessage = (encoding: "JSON" | "BINARY", data: Uint8Array) => void

/** Reads a `.proto` text as a schema of Pub/Sub, or throws a sentence that says why it is none. */
export function readDefinition(definition: string): DescMessage {
  if (Buffer.byteLength(definition) > DEFINITION_BYTES_MAX) throw new Error("The definition is longer than 300 KB.")
  // protobufjs reads the text (protobuf-es does not), and protobuf-es checks messages (protobufjs is not strict).
  const parsed = protobuf.parse(definition, { keepCase: true })
  if (parsed.imports?.length || parsed.weakImports?.length) throw new Error("Import statements are not supported.")
  const { root } = parsed
  root.resolveAll()
  // A method of its extension, which its types do not declare.
  const described = root as unknown as { toDescriptor(edition: string): protobuf.Message }
  const syntax = /^\s*syntax\s*=\s*["']proto3["']/m.test(definition) ? "proto3" : "proto2"
  const bytes = descriptor.FileDescriptorSet.encode(described.toDescriptor(syntax)).finish()
  const files = fromBinary(FileDescriptorSetSchema, bytes)
  const [file] = files.file
  const [message] = file?.messageType ?? []
  if (!file || !message || files.file.length > 1 || file.messageType.length + file.enumType.length > 1) {
    throw new Error("The definition must have exactly one top-level type, a message.")
  }
  const name = file.package ? `${file.package}.${message.name}` : message.name
  completeDescriptor(message, name, root)
  const found = createFileRegistry(files).getMessage(name)
  if (!found) throw new Error(`The message ${name} was not found in its own definition.`)
  return found
}

/** Throws unless the data is a message of the schema: nothing unknown, everything of its type; unset fields are fine. */
export function checkMessage(schema: DescMessage, encoding: "JSON" | "BINARY", data: Uint8Array): void {
  if (encoding === "JSON") {
    fromJsonString(schema, new TextDecoder("utf-8", { fatal: true }).decode(data), { ignoreUnknownFields: false })
    return
  }
  const message = fromBinary(schema, data)
  // Only the top level is looked at: a nested message keeps what it does not know without complaint.
  if (message.$unknown?.length) throw new Error(`unknown field number ${message.$unknown[0]?.no}`)
}

/**
 * protobufjs leaves out what protoc fills in: full type names, JSON names, the mark of proto3's optional, and a name of
 * map entries that cannot collide.
 */
function completeDescriptor(message: DescriptorProto, fullName: string, root: protobuf.Root): void {
  const { fields } = root.lookupType(fullName)
  for (const descriptor of message.field) {
    const field = fields[descriptor.name]
    if (!field) continue
    const resolved = field.resolve().resolvedType?.fullName
    descriptor.jsonName ||= String(field.getOption("json_name") ?? lowerCamelCase(descriptor.name))
    descriptor.proto3Optional = Boolean(field.getOption("proto3_optional"))
    if (field instanceof protobuf.MapField) {
      const entry = message.nestedType.find((nested) => nested.options?.mapEntry && nested.name === descriptor.typeName)
      if (!entry) throw new Error(`The map ${descriptor.name} could not be read.`)
      entry.name = `${entry.name}Entry`
      descriptor.typeName = `.${fullName}.${entry.name}`
      for (const part of entry.field) {
        part.jsonName = part.name
        if (part.name === "value" && resolved) part.typeName = resolved
      }
    } else if (resolved) descriptor.typeName = resolved
  }
  for (const nested of message.nestedType) {
    if (!nested.options?.mapEntry) completeDescriptor(nested, `${fullName}.${nested.name}`, root)
  }
}

function lowerCamelCase(name: string): string {
  return name.replaceAll(/_+(.)?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? "")
}
