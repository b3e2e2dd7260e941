import protobuf from "protobufjs"

// How a method of a gRPC service is called over HTTP: https://github.com/googleapis/googleapis/blob/master/google/api/http.proto

export interface HttpRoute {
  method: string
  verb: string
  path: RegExp
  /** The fields that the path's groups are, such as `subscription.name`. */
  fields: string[]
  /** A field that the body is, `*` for the whole request, or nothing. */
  body: string
}

export type HttpRule = Partial<Record<"get" | "put" | "post" | "delete" | "patch" | "body", string>> & {
  additional_bindings?: HttpRule | HttpRule[]
}

/** The addresses of a method, as its descriptor has them, or as its API gives it others. */
export function readHttpRoutes({ name, parsedOptions }: protobuf.Method, given?: HttpRule[]): HttpRoute[] {
  const options = (parsedOptions as Record<string, unknown>[] | undefined) ?? []
  const rules = given ?? options.flatMap((option) => (option["(google.api.http)"] as HttpRule | undefined) ?? [])
  return rules
    .flatMap((rule) => [rule, ...[rule.additional_bindings ?? []].flat()])
    .flatMap((rule) => toRoute(name, rule))
}

function toRoute(method: string, rule: HttpRule): HttpRoute[] {
  for (const verb of ["get", "put", "post", "delete", "patch"] as const) {
    const template = rule[verb]
    if (template === undefined) continue
    const fields: string[] = []
    // `{name=projects/*/topics/*}`: a star is one segment, two are any number of them.
    const pattern = template.replaceAll(
      /\{([^=}]+)(?:=([^}]*))?\}|[.+?^$()|[\]\\]/g,
      (found, field?: string, segments = "*") => {
        if (field === undefined) return `\\${found}`
        fields.push(field)
        return `(${segments.replaceAll("**", "\u0000").replaceAll("*", "[^/:]+").replaceAll("\u0000", ".+")})`
      },
    )
    return [{ method, verb: verb.toUpperCase(), path: new RegExp(`^${pattern}$`), fields, body: rule.body ?? "" }]
  }
  return []
}
