import { isIPv6 } from "node:net"
import ipaddr from "ipaddr.js"

/**
 * What is at an address: `private` is a network of one's own, `special` is whatever no receiver can be at, such as
 * link-local addresses, where the metadata server of a cloud answers.
 */
export type AddressKind = "public" | "loopback" | "private" | "special"

// Of https://www.iana.org/assignments/iana-ipv4-special-registry and its sister of IPv6, by the names of ipaddr.js.
const kinds: Record<string, AddressKind> = {
  unicast: "public",
  loopback: "loopback",
  private: "private",
  carrierGradeNat: "private",
  uniqueLocal: "private",
}

// https://cloud.google.com/compute/docs/metadata/querying-metadata: unique local, and not a receiver.
const METADATA_SERVER_V6 = "fd20:ce::254"

/** Takes an address as a resolver or `URL.hostname` gives it, without brackets; throws if it is none. */
export function classifyAddress(text: string): AddressKind {
  const address = ipaddr.parse(isIPv6(text) ? normalize(text) : text)
  if (!(address instanceof ipaddr.IPv6)) return kinds[address.range()] ?? "special"
  const embedded = address.toByteArray().slice(12).join(".")
  // https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2: another spelling of the IPv4 address.
  if (address.isIPv4MappedAddress()) return classifyAddress(embedded)
  // https://www.rfc-editor.org/rfc/rfc6052: a translator connects to the IPv4 address, and what is private there is not here.
  if (address.match(NAT64, NAT64_BITS)) return classifyAddress(embedded) === "public" ? "public" : "special"
  if (address.toString() === METADATA_SERVER_V6) return "special"
  const kind = kinds[address.range()] ?? "special"
  // Of what is not assigned as global unicast, such as ::7f00:1, the library says unicast, too.
  const isGlobal = ((address.parts[0] ?? 0) & 0xe000) === 0x2000
  return kind === "public" && !isGlobal ? "special" : kind
}

/** Without a zone, and in hexadecimal: ::127.0.0.1, as resolvers write it, is a mapped address to the library. */
function normalize(address: string): string {
  return new URL(`https://[${address.replace(/%.*$/, "")}]/`).hostname.slice(1, -1)
}

const NAT64 = ipaddr.IPv6.parse("64:ff9b::")
const NAT64_BITS = 96
