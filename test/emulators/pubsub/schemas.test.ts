import { SchemaTypes, SchemaViews } from "@google-cloud/pubsub"
import { assert, asyncProperty, bigInt, boolean, constantFrom, dictionary, option, record, string } from "fast-check"
import { describe, expect, it } from "vitest"
import { checkMessage, readDefinition } from "../../../services/emulators/pubsub/schema-definition.ts"
import { PROJECT, useLocalPubSub } from "./local-pubsub.ts"

const local = useLocalPubSub()

const ORDER = `
  // syntax = "proto2" is what this is not.
  syntax = "proto3";
  package shop.v1;
  message Order {
    int64 user_id = 1;
    repeated string tags = 2;
    map<string, Line> lines = 3;
    optional bool paid = 4;
    State state = 5;
    Line first = 6;
    oneof how { string card = 7; bytes token = 8; }
    message Line { int64 amount_cents = 1; Unit unit = 2; enum Unit { PIECE = 0; GRAM = 1; } }
    enum State { UNKNOWN = 0; OPEN = 1; }
  }`

let names = 0

async function createSchema(definition = ORDER): Promise<string> {
  const id = `schema-${++names}`
  await local().pubsub.createSchema(id, SchemaTypes.ProtocolBuffer, definition)
  return `${PROJECT}/schemas/${id}`
}

async function createTopicOf(schema: string, encoding: "JSON" | "BINARY" = "JSON", revisions = {}) {
  const topic = await local().createTopic()
  const subscription = topic.replace("topics", "subscriptions")
  await local().subscriber.createSubscription({ name: subscription, topic })
  await local().publisher.updateTopic({
    topic: { name: topic, schemaSettings: { schema, encoding, ...revisions } },
    updateMask: { paths: ["schema_settings"] },
  })
  return { topic, subscription }
}

describe("a topic with a schema", () => {
  it("takes messages that fit, and says on each what it was checked against", async () => {
    const schema = await createSchema()
    const { topic, subscription } = await createTopicOf(schema)
    await local().publish(topic, ['{"userId":"9007199254740993","lines":{"a":{"amountCents":"-5","unit":"GRAM"}}}'])
    expect(await local().pull(subscription)).toMatchObject([
      {
        attributes: {
          googclient_schemaname: schema,
          googclient_schemaencoding: "JSON",
          googclient_schemarevisionid: expect.stringMatching(/^[0-9a-f]{8}$/),
        },
      },
    ])
  })

  it("refuses the whole publish for one message that does not fit", async () => {
    const { topic } = await createTopicOf(await createSchema())
    await expect(local().publish(topic, ['{"userId":"1"}', '{"user":"1"}'])).rejects.toMatchObject({
      code: 3,
      details: expect.stringContaining("Invalid data in message: Message failed schema validation."),
    })
    expect(local().server.messages(topic)).toEqual([])
  })

  it("takes binary messages when that is its encoding", async () => {
    const { topic, subscription } = await createTopicOf(await createSchema(), "BINARY")
    const publish = (...bytes: number[]) =>
      local().publisher.publish({ topic, messages: [{ data: Buffer.from(bytes) }] })
    await publish(0x08, 0x2a)
    await expect(publish(0xff)).rejects.toMatchObject({ code: 3 })
    await expect(publish(0x78, 0x2a)).rejects.toMatchObject({ code: 3 })
    expect(await local().pull(subscription)).toHaveLength(1)
  })

  it("accepts what any of its revisions accepts, within those it allows", async () => {
    const name = await createSchema()
    const [first] = await (await local().pubsub.getSchemaClient()).getSchema({ name })
    const { topic } = await createTopicOf(name)
    const strict = await createTopicOf(name, "JSON", { lastRevisionId: first.revisionId })
    const client = await local().pubsub.getSchemaClient()
    const definition = ORDER.replace("int64 user_id = 1;", "int64 user_id = 1; string note = 9;")
    await client.commitSchema({ name, schema: { name, type: "PROTOCOL_BUFFER", definition } })
    await local().publish(topic, ['{"note":"new"}'])
    await expect(local().publish(strict.topic, ['{"note":"new"}'])).rejects.toMatchObject({ code: 3 })
    await local().publish(strict.topic, ['{"userId":"1"}'])
  })

  it("needs its schema", async () => {
    const name = await createSchema()
    const { topic } = await createTopicOf(name)
    await local().pubsub.schema(name).delete()
    await expect(local().publish(topic, ["{}"])).rejects.toMatchObject({ code: 3 })
    await expect(createTopicOf(`${PROJECT}/schemas/nowhere`)).rejects.toMatchObject({ code: 5 })
  })
})

describe("a definition", () => {
  it.each([
    ["with an import", 'syntax = "proto3"; import "google/protobuf/empty.proto"; message A {}'],
    ["of two messages", 'syntax = "proto3"; message A {} message B {}'],
    ["of nothing", 'syntax = "proto3";'],
    ["that is no protobuf", "message {"],
    ["that names an unknown type", 'syntax = "proto3"; message A { B b = 1; }'],
    ["beyond 300 KB", `syntax = "proto3"; message A {} //${"x".repeat(300 * 1024)}`],
  ])("%s is refused", async (_, definition) => {
    const client = await local().pubsub.getSchemaClient()
    const schema = { type: "PROTOCOL_BUFFER" as const, definition }
    await expect(client.validateSchema({ parent: PROJECT, schema })).rejects.toMatchObject({ code: 3 })
    await expect(createSchema(definition)).rejects.toMatchObject({ code: 3 })
  })

  it("in AVRO must be a record, and its messages records of it, as JSON and in binary", async () => {
    const made = local().pubsub.createSchema("avro", SchemaTypes.Avro, '{"type":"string"}')
    await expect(made).rejects.toMatchObject({ code: 3, details: expect.stringContaining("must be a record") })
    const record = { type: "record", name: "Request", fields: [{ name: "date", type: "string" }] }
    const schema = await local().pubsub.createSchema("avro", SchemaTypes.Avro, JSON.stringify(record))
    expect(await schema.get()).toMatchObject({ type: "AVRO", definition: JSON.stringify(record) })
    const name = await schema.getName()
    for (const [encoding, good, bad] of [
      ["JSON", '{"date":"2026-11-22"}', '{"day":"2026-11-22"}'],
      ["BINARY", "\u00142026-11-22", "\u00142026"],
    ] as const) {
      const topic = await local().createTopic()
      await local().publisher.updateTopic({
        topic: { name: topic, schemaSettings: { schema: name, encoding } },
        updateMask: { paths: ["schema_settings"] },
      })
      expect(await local().publish(topic, [good])).toHaveLength(1)
      await expect(local().publish(topic, [bad])).rejects.toMatchObject({ code: 3 })
    }
  })
})

describe("JSON messages", () => {
  const schema = readDefinition(ORDER)
  const check = (value: unknown) => checkMessage(schema, "JSON", Buffer.from(JSON.stringify(value)))

  it("that fit a schema pass, and one unknown field more does not", async () => {
    const line = record(
      {
        amountCents: bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
        unit: constantFrom("PIECE", "GRAM", 1),
      },
      { requiredKeys: [] },
    )
    const orders = record(
      {
        userId: bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
        tags: option(string().map((tag) => [tag])),
        lines: dictionary(string({ unit: "grapheme" }), line),
        paid: boolean(),
        state: constantFrom("UNKNOWN", "OPEN"),
        first: line,
        card: string({ unit: "grapheme" }),
      },
      { requiredKeys: [] },
    )
    await assert(
      asyncProperty(orders, constantFrom("", "first"), async (order, where) => {
        check(order)
        const foreign = where ? { ...order, first: { ...order.first, extra: 1 } } : { ...order, extra: 1 }
        expect(() => check(foreign)).toThrow(/extra/)
      }),
    )
  })

  it.each([
    [{ userId: "many" }],
    [{ userId: "9223372036854775808" }],
    [{ state: "CLOSED" }],
    [{ paid: "yes" }],
    [{ tags: "one" }],
    [{ card: "1", token: "AA==" }],
    [{ lines: { a: 1 } }],
    ["text"],
    [[]],
  ])("of another shape do not: %j", (value) => {
    expect(() => check(value)).toThrow(/./)
  })

  it("may name fields as the definition does", () => {
    expect(() => check({ user_id: "1" })).not.toThrow()
  })
})

describe("the schema service", () => {
  it("keeps revisions, and goes back to one", async () => {
    const name = await createSchema()
    const client = await local().pubsub.getSchemaClient()
    const [first] = await client.getSchema({ name })
    const other = ORDER.replace("tags", "labels")
    const [second] = await client.commitSchema({ name, schema: { name, type: "PROTOCOL_BUFFER", definition: other } })
    expect((await client.getSchema({ name }))[0]).toMatchObject({ definition: other, revisionId: second.revisionId })
    expect((await client.getSchema({ name: `${name}@${first.revisionId}` }))[0].definition).toBe(ORDER)
    const [third] = await client.rollbackSchema({ name, revisionId: first.revisionId ?? "" }, {})
    expect(third.definition).toBe(ORDER)
    const [revisions] = await client.listSchemaRevisions({ name })
    expect(revisions.map(({ revisionId }) => revisionId)).toEqual([
      third.revisionId,
      second.revisionId,
      first.revisionId,
    ])
    await client.deleteSchemaRevision({ name: `${name}@${second.revisionId}` })
    expect((await client.listSchemaRevisions({ name }))[0]).toHaveLength(2)
  })

  it("finds, lists and deletes as the official client asks", async () => {
    const name = await createSchema()
    expect(await local().pubsub.schema(name).get(SchemaViews.Full)).toMatchObject({ name, definition: ORDER })
    const listed = []
    for await (const schema of local().pubsub.listSchemas(SchemaViews.Basic)) listed.push(schema)
    expect(listed).toContainEqual(expect.objectContaining({ name, definition: "" }))
    await local().pubsub.schema(name).delete()
    await expect(local().pubsub.schema(name).get(SchemaViews.Full)).rejects.toMatchObject({ code: 5 })
  })

  it("validates a message by name and by definition", async () => {
    const named = { parent: PROJECT, name: await createSchema(), encoding: "JSON" as const }
    const client = await local().pubsub.getSchemaClient()
    const inline = { parent: PROJECT, schema: { type: "PROTOCOL_BUFFER" as const, definition: ORDER } }
    const message = Buffer.from('{"userId":"1"}')
    await client.validateMessage({ ...named, message })
    await client.validateMessage({ ...inline, encoding: "JSON", message })
    const foreign = Buffer.from('{"no":1}')
    await expect(client.validateMessage({ ...named, message: foreign })).rejects.toMatchObject({ code: 3 })
  })
})
