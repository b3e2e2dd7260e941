/*
 * IAM policies as documents: kept, returned and guarded by their etag, as https://cloud.google.com/iam/docs/reference/rest/v1/Policy
 * says. Nobody is refused anything for them: whoever asks what they may, may everything.
 */

export interface Binding {
  role: string
  members: string[]
  condition?: { expression?: string; title?: string; description?: string; location?: string } | null | undefined
}

export interface Policy {
  /** 0 of a policy that nobody has set, 3 of one with conditions. */
  version: number
  /** Grows with each change. */
  revision: number
  bindings: Binding[]
}

/** Of a resource that has none yet. */
export const emptyPolicy: Policy = { version: 0, revision: 0, bindings: [] }

/** As a text, which JSON has as it is and gRPC as bytes. */
export function etagOfPolicy({ revision }: Policy): string {
  return Buffer.from(`policy-${revision}`).toString("base64")
}

// https://cloud.google.com/iam/docs/reference/rest/v1/Policy: "1,500 principals", of which a binding is one at least.
const BINDINGS_MAX = 1500
const MEMBER =
  /^(allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|principal|principalSet|projectOwner|projectEditor|projectViewer|deleted):.+)$/

/** The policy after a change. `refuse` throws what is wrong with the given one in the words of the API. */
export function replacePolicy(
  before: Policy,
  given: { version?: number | null; bindings?: Partial<Binding>[] | null },
  refuse: (message: string) => Error,
): Policy {
  const bindings = (given.bindings ?? []).map(({ role, members, condition }): Binding => {
    if (!role || !/^(roles|projects\/[^/]+\/roles|organizations\/[^/]+\/roles)\/[\w.]+$/.test(role)) {
      throw refuse(`Role ${role ?? ""} is not supported for this resource.`)
    }
    const wrong = (members ?? []).find((member) => !MEMBER.test(member))
    if (wrong !== undefined) throw refuse(`Invalid member: ${wrong}`)
    return { role, members: [...new Set(members ?? [])], ...(condition ? { condition } : {}) }
  })
  if (bindings.length > BINDINGS_MAX) throw refuse(`A policy has at most ${BINDINGS_MAX} bindings.`)
  const version = given.version ?? 0
  if (![0, 1, 3].includes(version)) throw refuse(`Invalid policy version: ${version}. Must be 0, 1 or 3.`)
  if (version < 3 && bindings.some(({ condition }) => condition)) {
    throw refuse("A policy with conditions must have the version 3.")
  }
  // A role without members grants nothing, and goes.
  return {
    version,
    revision: before.revision + 1,
    bindings: bindings.filter(({ members }) => members.length > 0),
  }
}
