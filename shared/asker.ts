/*
 * Who asks, by which way, and why: attributes that any request may have. They are outside the messages' schemas, so that
 * no older reader refuses them, and a request without them is as good.
 */

export interface Asker {
  /** A name, or an address: as it was said. */
  askedBy: string | null
  /** "cli", "page", "scheduler", or a name of the sender's own. */
  via: string | null
  note: string | null
}

export const nobody: Asker = { askedBy: null, via: null, note: null }

// As long as the ledger's columns.
const lengths = { askedBy: 254, via: 32, note: 1_000 }

/** Reads the attributes of a message. What is too long is cut: it keeps no request from being carried out. */
export function readAsker(attributes: Record<string, string>): Asker {
  // Code points, as a column counts them.
  const read = (name: keyof Asker) =>
    Array.from((attributes[name] ?? "").trim())
      .slice(0, lengths[name])
      .join("") || null
  return { askedBy: read("askedBy"), via: read("via"), note: read("note") }
}

/** The attributes of a request; also fields of messages and documents: those that are not said are not there. */
export function askerFields({ askedBy, via, note }: Asker) {
  return {
    ...(askedBy === null ? {} : { askedBy }),
    ...(via === null ? {} : { via }),
    ...(note === null ? {} : { note }),
  }
}
