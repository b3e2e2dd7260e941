import type { protos } from "@google-cloud/pubsub"
import { refuse } from "./refusals.ts"

/** The top-level fields an update names, in camelCase. Refuses an empty mask and any field that cannot be changed. */
export function readFieldMask<Field extends string>(
  mask: protos.google.protobuf.IFieldMask | null | undefined,
  mutable: readonly Field[],
): Field[] {
  const paths = mask?.paths ?? []
  if (paths.length === 0)
    throw refuse("The update_mask in the request must be set, and must contain a non-empty paths list.")
  return paths.map((path) => {
    // A nested path such as `retry_policy.minimum_backoff` is not told apart: Google takes it, this server does not.
    // By the proto's own names, as its type FieldMask has them.
    if (!/^[a-z_]+$/.test(path))
      throw refuse(`Invalid update_mask provided in the request: '${path}' is not a field's name.`)
    const field = path.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    const known = mutable.find((name) => name === field)
    if (!known) throw refuse(`Invalid update_mask provided in the request: '${path}' is not a mutable field.`)
    return known
  })
}
