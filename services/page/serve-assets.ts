import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { FastifyInstance } from "fastify"
import { assetsFolder, findIdiomorph } from "./assets-folder.ts"

const types = {
  "page.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "idiomorph.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
}

const assets = Object.entries(types).map(([name, type]) => ({
  name,
  type,
  text: readFileSync(name === "idiomorph.js" ? findIdiomorph() : join(assetsFolder, name), "utf8"),
}))

/** Another one for other files. */
export const assetsDigest = createHash("sha256")
  .update(assets.map(({ text }) => text).join("\0"))
  .digest("base64url")

/** Serves what the browser needs beside the page. It holds nothing of anybody: a browser may keep it for a while. */
export function serveAssets(server: FastifyInstance): void {
  for (const { name, type, text } of assets) {
    server.get(`/assets/${name}`, { schema: { hide: true } }, async (_request, reply) =>
      reply.header("cache-control", "private, max-age=300").type(type).send(text),
    )
  }
}
