import { createHash, randomUUID } from "node:crypto"
import { constants } from "node:fs"
import { type FileHandle, open, rm, writeFile } from "node:fs/promises"
import { CRC32C } from "@google-cloud/storage"
import { invalid } from "./errors.ts"
import { uploadPath } from "./folder.ts"

/** Content that is on disk in whole and waits to become an object's. */
export interface UploadedContent {
  upload: string
  sizeBytes: number
  crc32c: string
  md5Hash?: string | undefined
  componentCount?: number | undefined
}

/** Hashes, base64 as the API writes them, that a client says the content must have. */
export interface ExpectedHashes {
  crc32c?: string | undefined
  md5Hash?: string | undefined
}

/** Content on its way: a file of its own beside the objects, with its hashes kept up with the bytes received. */
export class UploadFile {
  readonly id: string = randomUUID()
  readonly #path: string
  readonly #crc32c = new CRC32C()
  readonly #md5 = createHash("md5")
  #receivedBytes = 0

  /** Of content that comes bit by bit. */
  static async create(folder: string): Promise<UploadFile> {
    const file = new UploadFile(folder)
    await writeFile(file.#path, "")
    return file
  }

  private constructor(folder: string) {
    this.#path = uploadPath(folder, this.id)
  }

  /** Of content that comes at once and becomes an object's; where that fails, nothing is left of it. */
  static async use<T>(folder: string, commit: (file: UploadFile) => Promise<T>): Promise<T> {
    const file = new UploadFile(folder)
    try {
      return await commit(file)
    } catch (error) {
      await file.discard()
      throw error
    }
  }

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Appends all that comes, and keeps what came if the source or the disk fails midway. */
  async receive(source: AsyncIterable<Buffer>): Promise<void> {
    // Not in append mode: after a write that failed halfway, the next one starts at the last good byte.
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT)
    try {
      for await (const chunk of source) {
        await writeWhole(file, chunk, this.#receivedBytes)
        this.#crc32c.update(chunk)
        this.#md5.update(chunk)
        this.#receivedBytes += chunk.length
      }
    } finally {
      await file.close()
    }
  }

  /** The whole content; throws 400 if it is not what the client meant to send. */
  finish(expected: ExpectedHashes): UploadedContent {
    const crc32c = this.#crc32c.toString()
    const md5Hash = this.#md5.copy().digest("base64")
    if (expected.crc32c !== undefined && expected.crc32c !== crc32c) {
      throw invalid(`Provided CRC32C "${expected.crc32c}" doesn't match calculated CRC32C "${crc32c}".`)
    }
    if (expected.md5Hash !== undefined && expected.md5Hash !== md5Hash) {
      throw invalid(`Provided MD5 hash "${expected.md5Hash}" doesn't match calculated MD5 hash "${md5Hash}".`)
    }
    return { upload: this.id, sizeBytes: this.#receivedBytes, crc32c, md5Hash }
  }

  /** Removes the file; after a commit there is none any more. */
  async discard(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

async function writeWhole(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    written += (await file.write(chunk, written, chunk.length - written, position + written)).bytesWritten
  }
}
