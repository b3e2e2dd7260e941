import { assert, integer, ipV6, property } from "fast-check"
import { expect, test } from "vitest"
import { classifyAddress } from "../../../shared/webhook/classify-address.ts"

test.each([
  ["8.8.8.8", "public"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["10.0.0.1", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["172.32.0.1", "public"],
  ["192.168.0.1", "private"],
  ["100.64.0.1", "private"],
  ["0.0.0.0", "special"],
  ["169.254.169.254", "special"],
  ["192.0.0.192", "special"],
  ["198.18.0.1", "special"],
  ["224.0.0.1", "special"],
  ["255.255.255.255", "special"],
  ["2001:4860:4860::8888", "public"],
  ["::1", "loopback"],
  ["fc00::1", "private"],
  ["fd12:3456::1", "private"],
  ["fd20:ce::254", "special"],
  ["::", "special"],
  ["fe80::1", "special"],
  ["fe80::1%eth0", "special"],
  ["fec0::1", "special"],
  ["ff02::1", "special"],
  ["2001:db8::1", "special"],
  ["100::1", "special"],
  ["5f00::1", "special"],
  ["4000::1", "special"],
])("%s is %s", (address, kind) => expect(classifyAddress(address)).toBe(kind))

test.each([
  ["mapped", "::ffff:169.254.169.254", "special"],
  ["mapped, in hexadecimal", "::ffff:a9fe:a9fe", "special"],
  ["mapped", "::ffff:10.0.0.1", "private"],
  ["mapped", "::ffff:127.0.0.1", "loopback"],
  ["mapped", "::ffff:8.8.8.8", "public"],
  ["compatible", "::7f00:1", "special"],
  ["compatible, as resolvers write it", "::127.0.0.1", "special"],
  ["compatible, as resolvers write it", "::8.8.8.8", "special"],
  ["translated by NAT64", "64:ff9b::a9fe:a9fe", "special"],
  ["translated by NAT64", "64:ff9b::7f00:1", "special"],
  ["translated by NAT64", "64:ff9b::a00:1", "special"],
  ["translated by NAT64", "64:ff9b::808:808", "public"],
  ["translated by a NAT64 of one's own", "64:ff9b:1::808:808", "special"],
  ["translated by SIIT", "::ffff:0:a9fe:a9fe", "special"],
  ["of 6to4", "2002:a9fe:a9fe::1", "special"],
  ["of Teredo", "2001:0:1::5601:5601", "special"],
])("an IPv4 address within an IPv6 address, %s, hides nothing: %s is %s", (_how, address, kind) =>
  expect(classifyAddress(address)).toBe(kind),
)

test("whatever a URL makes of any 128 bits or of any number is classified", () => {
  assert(
    property(ipV6(), (address) => {
      const { hostname } = new URL(`https://[${address}]/`)
      expect(classifyAddress(hostname.slice(1, -1))).toBe(classifyAddress(address))
    }),
  )
  assert(
    property(integer({ min: 0, max: 2 ** 32 - 1 }), (number) => {
      const spellings = [`${number}`, `0x${number.toString(16)}`, `0${number.toString(8)}`]
      const hosts = spellings.map((text) => new URL(`https://${text}/`).hostname)
      expect(new Set(hosts).size).toBe(1)
      expect(["public", "loopback", "private", "special"]).toContain(classifyAddress(hosts[0] ?? ""))
    }),
  )
})
