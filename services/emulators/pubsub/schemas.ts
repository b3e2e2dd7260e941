import type { protos } from "@google-cloud/pubsub"
import type { ServiceMethods } from "../service-methods.ts"
import { alreadyExists, checkName, checkProject, idOf } from "./names.ts"
import { pageOf } from "./pages.ts"
import { failedPrecondition, refuse } from "./refusals.ts"
import {
  addRevision,
  compile,
  createRevision,
  findRevision,
  type Revision,
  type Schema,
  splitRevision,
} from "./schema-store.ts"
import type { Store } from "./store.ts"
import { timestampOf } from "./time.ts"

type ISchema = protos.google.pubsub.v1.ISchema
type View = protos.google.pubsub.v1.IGetSchemaRequest["view"]

export function schemaService(store: Store): ServiceMethods {
  const { schemas, clock } = store
  const find = (name: string | null | undefined) => findRevision(schemas, name)
  return {
    name: "google.pubsub.v1.SchemaService",
    unary: {
      CreateSchema: (request: protos.google.pubsub.v1.ICreateSchemaRequest) => {
        const name = checkName("schemas", `${checkProject(request.parent)}/schemas/${request.schemaId}`)
        if (schemas.has(name)) throw alreadyExists(name)
        const revision = createRevision(request.schema, clock.now())
        const schema = { name, revisions: [revision] }
        schemas.set(name, schema)
        return toResource(schema, revision)
      },
      GetSchema: (request: protos.google.pubsub.v1.IGetSchemaRequest) => {
        const { schema, revision } = find(request.name)
        return toResource(schema, revision, request.view)
      },
      ListSchemas: (request: protos.google.pubsub.v1.IListSchemasRequest) => {
        const prefix = `${checkProject(request.parent)}/`
        const ours = [...schemas.values()].filter(({ name }) => name.startsWith(prefix))
        const { page, nextPageToken } = pageOf(ours, ({ name }) => name, request)
        return { schemas: page.map((schema) => newest(schema, basicUnlessAsked(request.view))), nextPageToken }
      },
      ListSchemaRevisions: (request: protos.google.pubsub.v1.IListSchemaRevisionsRequest) => {
        const { schema } = find(request.name)
        // Newest first. At most 20 (REVISIONS_MAX), so one page holds them.
        const revisions = schema.revisions.toReversed()
        return { schemas: revisions.map((revision) => toResource(schema, revision, basicUnlessAsked(request.view))) }
      },
      CommitSchema: (request: protos.google.pubsub.v1.ICommitSchemaRequest) => {
        const { schema } = find(request.name)
        addRevision(schema, createRevision(request.schema, clock.now()))
        return newest(schema)
      },
      RollbackSchema: (request: protos.google.pubsub.v1.IRollbackSchemaRequest) => {
        const [name] = splitRevision(request.name)
        const { schema, revision } = find(`${name}@${request.revisionId}`)
        addRevision(schema, createRevision(revision, clock.now()))
        return newest(schema)
      },
      DeleteSchemaRevision: (request: protos.google.pubsub.v1.IDeleteSchemaRevisionRequest) => {
        if (!splitRevision(request.name)[1]) throw refuse("The name must end in @ and the revision's id.")
        const { schema, revision } = find(request.name)
        if (schema.revisions.length === 1) throw failedPrecondition("A schema's only revision cannot be deleted.")
        schema.revisions = schema.revisions.filter((other) => other !== revision)
        return newest(schema)
      },
      DeleteSchema: (request: protos.google.pubsub.v1.IDeleteSchemaRequest) => {
        const { name } = find(request.name).schema
        schemas.delete(name)
        store.policies.delete(name)
        return {}
      },
      ValidateSchema: (request: protos.google.pubsub.v1.IValidateSchemaRequest) => {
        checkProject(request.parent)
        compile(request.schema?.type, request.schema?.definition ?? "")
        return {}
      },
      ValidateMessage: (request: protos.google.pubsub.v1.IValidateMessageRequest) => validateMessage(store, request),
    },
  }
}

function validateMessage(store: Store, request: protos.google.pubsub.v1.IValidateMessageRequest): object {
  checkProject(request.parent)
  const schema = request.name
    ? findRevision(store.schemas, request.name).revision
    : compile(request.schema?.type, request.schema?.definition ?? "")
  const { encoding } = request
  if (encoding !== "JSON" && encoding !== "BINARY") throw refuse("The encoding must be JSON or BINARY.")
  try {
    schema.check(encoding, Buffer.from(request.message ?? ""))
  } catch (error) {
    throw refuse(`Invalid data in message: Message failed schema validation. ${String(error)}`)
  }
  return {}
}

function newest(schema: Schema, view: View = "FULL"): ISchema {
  const revision = schema.revisions.at(-1)
  if (!revision) throw new Error(`the schema ${idOf(schema.name)} has no revision`)
  return toResource(schema, revision, view)
}

function toResource({ name }: Schema, revision: Revision, view: View = "FULL"): ISchema {
  return {
    name,
    type: revision.type,
    definition: view === "BASIC" ? "" : revision.definition,
    revisionId: revision.id,
    revisionCreateTime: timestampOf(revision.createdAt),
  }
}

/** Lists leave the definitions out unless FULL is asked for; a single schema has it unless BASIC is. */
function basicUnlessAsked(view: View): View {
  return view === "FULL" ? "FULL" : "BASIC"
}
