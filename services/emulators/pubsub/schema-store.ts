import { randomBytes } from "node:crypto"
import { readAvro } from "./avro-definition.ts"
import { checkName, notFound } from "./names.ts"
import { exhausted, refuse } from "./refusals.ts"
import { type CheckMessage, checkMessage, readDefinition } from "./schema-definition.ts"

// https://cloud.google.com/pubsub/docs/schemas#schema_quotas_and_limits
const REVISIONS_MAX = 20

type SchemaType = "PROTOCOL_BUFFER" | "AVRO"

export interface Revision {
  id: string
  definition: string
  type: SchemaType
  check: CheckMessage
  /** Milliseconds since the epoch. */
  createdAt: number
}

export interface Schema {
  name: string
  /** Oldest first; never empty. */
  revisions: Revision[]
}

/** Finds the schema of `projects/…/schemas/…`, and of a name that ends in `@<revision>` that revision, else the newest. */
export function findRevision(
  schemas: Map<string, Schema>,
  name: string | null | undefined,
): { schema: Schema; revision: Revision } {
  const [plain, revisionId] = splitRevision(name)
  const schema = schemas.get(checkName("schemas", plain))
  const revision = revisionId ? schema?.revisions.find(({ id }) => id === revisionId) : schema?.revisions.at(-1)
  if (!schema || !revision) throw notFound(name ?? "")
  return { schema, revision }
}

export function splitRevision(name: string | null | undefined): [name: string, revisionId: string | undefined] {
  const [plain = "", revisionId] = (name ?? "").split("@")
  return [plain, revisionId]
}

export function createRevision(
  given: { type?: unknown; definition?: string | null } | null | undefined,
  now: number,
): Revision {
  const definition = given?.definition ?? ""
  return { id: randomBytes(4).toString("hex"), definition, ...compile(given?.type, definition), createdAt: now }
}

export function addRevision(schema: Schema, revision: Revision): void {
  if (schema.revisions.length >= REVISIONS_MAX) throw exhausted(`A schema has at most ${REVISIONS_MAX} revisions.`)
  schema.revisions.push(revision)
}

/** Reads a definition of a type, or refuses the call with the reason. */
export function compile(type: unknown, definition: string): Pick<Revision, "type" | "check"> {
  if (type !== "PROTOCOL_BUFFER" && type !== "AVRO") throw refuse("The schema's type must be set.")
  try {
    return { type, check: type === "AVRO" ? readAvro(definition) : readProtobuf(definition) }
  } catch (error) {
    throw refuse(`Invalid schema definition: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function readProtobuf(definition: string): CheckMessage {
  const message = readDefinition(definition)
  return (encoding, data) => checkMessage(message, encoding, data)
}
