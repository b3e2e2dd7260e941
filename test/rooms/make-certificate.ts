import { generateKeyPairSync, randomBytes, sign } from "node:crypto"

/** A certificate that signs itself, for a TLS server of tests: https://www.rfc-editor.org/rfc/rfc5280#section-4.1 */
export function makeCertificate(...names: string[]): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const algorithm = der(0x30, oid("2a8648ce3d040302"))
  const name = der(0x30, der(0x31, der(0x30, oid("550403"), der(0x0c, Buffer.from(names[0] ?? "")))))
  const alternatives = names.map((one) => der(0x82, Buffer.from(one)))
  const extension = der(0x30, oid("551d11"), der(0x04, der(0x30, ...alternatives)))
  const signed = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    der(0x30, time(-1), time(1)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, extension)),
  )
  const signature = sign("sha256", signed, privateKey)
  const whole = der(0x30, signed, algorithm, der(0x03, Buffer.from([0]), signature))
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? []
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n"),
  }
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"))

/** In so many days. */
function time(days: number): Buffer {
  const text = new Date(Date.now() + days * 24 * 3600_000).toISOString()
  return der(0x17, Buffer.from(`${text.slice(2, 19).replaceAll(/[-:T]/g, "")}Z`))
}
