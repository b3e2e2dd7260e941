import { createServer, type Socket } from "node:net"
import { expect, onTestFinished, test } from "vitest"
import { explainDatabaseError } from "../../../shared/database/explain-database-error.ts"
import { openDatabase } from "../../../shared/database/open-database.ts"

/** https://mariadb.com/kb/en/0-packet/: three bytes of length, the number of the packet. */
function packet(number: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([payload.length, 0, 0, number]), payload])
}

/** What MariaDB answers to an account that was made with IDENTIFIED VIA ed25519. */
function askForEd25519(socket: Socket): void {
  const scramble = Buffer.alloc(32, "s")
  socket.write(
    packet(
      0,
      Buffer.concat([
        Buffer.from("\x0a10.11.0-MariaDB\0", "latin1"),
        Buffer.from([1, 0, 0, 0]),
        scramble.subarray(0, 8),
        Buffer.from([0, 0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21]),
        Buffer.alloc(10),
        scramble.subarray(0, 12),
        Buffer.from("\0mysql_native_password\0", "latin1"),
      ]),
    ),
  )
  socket.once("data", () => {
    socket.write(packet(2, Buffer.concat([Buffer.from("\xfeclient_ed25519\0", "latin1"), scramble])))
  })
  socket.on("error", () => undefined)
}

test("an account that signs in by a method that the driver does not know is told what to do", async () => {
  const server = createServer(askForEd25519).listen(0, "127.0.0.1")
  await new Promise((listening) => server.once("listening", listening))
  const { port } = server.address() as { port: number }
  const url = `mysql://ada:secret@127.0.0.1:${port}/shop`
  const { db, close } = openDatabase({ url, connectionsMax: 1 })
  onTestFinished(async () => {
    await close()
    server.close()
  })
  const error: unknown = await db.execute("SELECT 1").catch((reason: unknown) => reason)
  expect(explainDatabaseError(error, url)).toBe(
    `The user "ada" at 127.0.0.1:${port} signs in by a method that is not known here (client_ed25519): give the account another, such as caching_sha2_password or mysql_native_password, or correct DATABASE_URL.`,
  )
})
