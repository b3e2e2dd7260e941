import { readFile } from "node:fs/promises"
import type { Plugin } from "esbuild"
import protobuf, { type INamespace } from "protobufjs"

/*
 * What Google's clients load before they are asked for anything: classes for every message of their APIs, which only a
 * caller would use who makes messages by hand, and descriptions of far more messages than their calls have (the options of
 * Google's API configuration, the descriptions of descriptions). A task would spend half of its start on them.
 */

/** Makes the classes a matter of whoever asks for them, and leaves out what no call of the described services reaches. */
export const lightenClients: Plugin = {
  name: "lighten Google's clients",
  setup(build) {
    const isClasses = /\/(@google-cloud\/[^/]+\/build|google-gax\/build)\/protos\/[^/]+\.js$/
    build.onLoad({ filter: isClasses }, async ({ path, suffix }) => {
      if (suffix === WHOLE) return { contents: await readFile(path), loader: "js" }
      return { contents: lazily(`${path}${WHOLE}`), loader: "js" }
    })
    build.onResolve({ filter: /\?whole$/ }, ({ path }) => ({ path: path.slice(0, -WHOLE.length), suffix: WHOLE }))
    const isDescription = /\/(@google-cloud\/[^/]+\/build|google-gax\/build)\/protos\/[^/]+\.json$/
    build.onLoad({ filter: isDescription }, async ({ path }) => {
      const described = JSON.parse(await readFile(path, "utf8")) as INamespace
      return { contents: JSON.stringify(keepReachable(described)), loader: "json" }
    })
  },
}

const WHOLE = "?whole"

/** A module that is loaded when something of it is asked for. */
function lazily(path: string): string {
  return `const load = () => require(${JSON.stringify(path)})
module.exports = new Proxy({}, {
  get: (_, name) => name === "__esModule" ? true : load()[name],
  has: (_, name) => name in load(),
  ownKeys: () => Reflect.ownKeys(load()),
  getOwnPropertyDescriptor: (_, name) => {
    const found = Object.getOwnPropertyDescriptor(load(), name)
    return found && { ...found, configurable: true }
  },
})`
}

// What calls may have in an Any, or what clients look up by name.
const ALWAYS_KEPT = [
  "google.rpc",
  ...["Any", "Duration", "Empty", "FieldMask", "ListValue", "NullValue", "Struct", "Timestamp", "Value"].map(
    (name) => `google.protobuf.${name}`,
  ),
]

/**
 * The services of a description, and the messages that their calls have or contain. All of what describes no service: the
 * details of errors.
 */
export function keepReachable(described: INamespace): INamespace {
  const root = protobuf.Root.fromJSON(described)
  root.resolveAll()
  const kept = new Set<protobuf.ReflectionObject>()
  const keep = (object: protobuf.ReflectionObject | null) => {
    if (!object || kept.has(object)) return
    kept.add(object)
    if (object instanceof protobuf.Type) for (const { resolvedType } of object.fieldsArray) keep(resolvedType)
    if (object instanceof protobuf.Service) {
      for (const method of object.methodsArray) {
        keep(method.resolvedRequestType)
        keep(method.resolvedResponseType)
      }
    }
    for (let within = object.parent; within; within = within.parent) kept.add(within)
  }
  const keepWhole = (object: protobuf.ReflectionObject | null) => {
    keep(object)
    if (object instanceof protobuf.Namespace) for (const nested of object.nestedArray) keepWhole(nested)
  }
  const keepServices = (namespace: protobuf.NamespaceBase) => {
    for (const object of namespace.nestedArray) {
      if (object instanceof protobuf.Service) keep(object)
      else if (object instanceof protobuf.Namespace) keepServices(object)
    }
  }
  keepServices(root)
  if (kept.size === 0) return described
  for (const name of ALWAYS_KEPT) keepWhole(root.lookup(name))
  return prune(described, root, kept)
}

function prune(
  described: INamespace,
  namespace: protobuf.NamespaceBase,
  kept: Set<protobuf.ReflectionObject>,
): INamespace {
  const entries = Object.entries(described.nested ?? {}).flatMap(([name, nested]) => {
    const object = namespace.get(name)
    if (!object || !kept.has(object)) return []
    return [[name, object instanceof protobuf.Namespace ? prune(nested, object, kept) : nested] as const]
  })
  const { nested: _all, ...own } = described
  return entries.length > 0 ? { ...own, nested: Object.fromEntries(entries) } : own
}
