import { createHash, randomUUID } from "node:crypto"
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { replaceFile } from "../json-files.ts"
import type { StoredBucket } from "./bucket-resource.ts"
import { isPlainPath } from "./names.ts"
import type { StoredObject } from "./object-resource.ts"

/*
 * What is where in the server's folder:
 *
 *   <bucket>/<object name>                      the content of an object, a plain file
 *   .metadata/<bucket>/bucket.json              the bucket
 *   .metadata/<bucket>/<encoded name>~<hash>.json   the object's metadata, its record
 *   .metadata/<bucket>/<encoded name>~<hash>.data   the content, where the name cannot be a path
 *   .metadata/<bucket>/<encoded name>~<hash>@<generation>.json, .data   a version that is not live any more
 *   .uploads/<id>                               content that is on its way
 *
 * A bucket's name never starts with a dot, and an encoded name always ends in a tilde and a hash: nothing collides.
 */

const UPLOADS = ".uploads"
const METADATA = ".metadata"
// Leaves room for the hash and the extension within the 255 bytes of a file name.
const ENCODED_NAME_LENGTH_MAX = 200

export const uploadPath = (folder: string, upload: string) => join(folder, UPLOADS, upload)

/** Reads all buckets and objects; finishes what a killed server left half done, and forgets unfinished uploads. */
export function readFolder(folder: string): Map<string, { bucket: StoredBucket; objects: StoredObject[] }> {
  mkdirSync(join(folder, METADATA), { recursive: true })
  mkdirSync(join(folder, UPLOADS), { recursive: true })
  const buckets = new Map<string, { bucket: StoredBucket; objects: StoredObject[] }>()
  for (const name of readdirSync(join(folder, METADATA))) {
    const records = join(folder, METADATA, name)
    // Without its own record a bucket was not quite created, or not quite deleted.
    if (!existsSync(join(records, "bucket.json"))) continue
    const bucket = readRecord(join(records, "bucket.json")) as StoredBucket
    const files = readdirSync(records).filter((file) => file.endsWith(".json") && file.includes("~"))
    const objects = files.map((file) => readRecord(join(records, file)) as StoredObject)
    const found = objects.filter((object) => recoverObject(folder, object))
    // A version is kept before another takes its place: a server that died in between has it twice.
    const live = new Set(found.filter(({ deletedAt }) => deletedAt === undefined).map(({ generation }) => generation))
    const isTwice = ({ deletedAt, generation }: StoredObject) => deletedAt !== undefined && live.has(generation)
    for (const object of found.filter(isTwice)) removeObject(folder, object)
    buckets.set(name, { bucket, objects: found.filter((object) => !isTwice(object)) })
  }
  for (const upload of readdirSync(join(folder, UPLOADS))) rmSync(uploadPath(folder, upload), { force: true })
  return buckets
}

function readRecord(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch (error) {
    throw new Error(`${path} is not readable metadata: delete it to give up what it describes`, { cause: error })
  }
}

/** Moves content into place whose record was written just before the server died; false if there is no content. */
function recoverObject(folder: string, object: StoredObject): boolean {
  const content = join(folder, object.file)
  if (existsSync(uploadPath(folder, object.upload))) {
    mkdirSync(dirname(content), { recursive: true })
    renameSync(uploadPath(folder, object.upload), content)
  }
  if (existsSync(content)) return true
  // Deleted by hand, or by a server that died before it could delete the record too.
  rmSync(objectRecordPath(folder, object), { force: true })
  return false
}

/** Where a new object's content goes: at its name if that can be a path and nothing is there, else beside its record. */
export function placeObject(folder: string, bucket: string, name: string): string {
  const plain = join(bucket, name)
  if (isPlainPath(name)) {
    try {
      mkdirSync(join(folder, dirname(plain)), { recursive: true })
      // Something is there: the folder of objects `name/…`, a file put there by hand, or on a file system that ignores
      // case the object whose name differs in case only.
      if (!existsSync(join(folder, plain))) return plain
    } catch (error) {
      // A segment of the name is an object itself, or the path is too long.
      const { code } = error as NodeJS.ErrnoException
      if (code !== "ENOTDIR" && code !== "EEXIST" && code !== "ENAMETOOLONG") throw error
    }
  }
  return join(METADATA, bucket, `${recordName(name)}.data`)
}

/** The commit of a write: once the record is there the object is, and a crash before the rename is mended at start. */
export function writeObject(folder: string, object: StoredObject, before: StoredObject | undefined): void {
  writeObjectRecord(folder, object)
  try {
    renameSync(uploadPath(folder, object.upload), join(folder, object.file))
  } catch (error) {
    if (before) writeObjectRecord(folder, before)
    else rmSync(objectRecordPath(folder, object), { force: true })
    throw error
  }
}

/** Keeps the content of a live version under a name of its own, and returns the version as it is kept. */
export function writeVersion(folder: string, object: StoredObject): StoredObject {
  const version = {
    ...object,
    file: join(METADATA, object.bucket, `${recordName(object.name)}@${object.generation}.data`),
  }
  rmSync(join(folder, version.file), { force: true })
  copyFileSync(join(folder, object.file), join(folder, version.file), constants.COPYFILE_FICLONE)
  writeObjectRecord(folder, version)
  return version
}

export function writeObjectRecord(folder: string, object: StoredObject): void {
  writeRecord(folder, objectRecordPath(folder, object), object)
}

export function removeObject(folder: string, object: StoredObject): void {
  // The content first: a record without content is swept at the next start, content without a record never would be.
  rmSync(join(folder, object.file), { force: true })
  rmSync(objectRecordPath(folder, object), { force: true })
  removeEmptyFolders(join(folder, object.bucket), dirname(join(folder, object.file)))
}

export function writeBucket(folder: string, bucket: StoredBucket): void {
  mkdirSync(join(folder, bucket.name), { recursive: true })
  mkdirSync(join(folder, METADATA, bucket.name), { recursive: true })
  writeRecord(folder, join(folder, METADATA, bucket.name, "bucket.json"), bucket)
}

/** False if the bucket's folder holds files that are no objects: they are somebody's. */
export function removeBucket(folder: string, name: string): boolean {
  const content = join(folder, name)
  const entries = existsSync(content) ? readdirSync(content, { recursive: true, withFileTypes: true }) : []
  if (entries.some((entry) => !entry.isDirectory())) return false
  rmSync(join(folder, METADATA, name, "bucket.json"))
  rmSync(join(folder, METADATA, name), { recursive: true, force: true })
  rmSync(content, { recursive: true, force: true })
  return true
}

function writeRecord(folder: string, path: string, json: object): void {
  replaceFile(path, `${JSON.stringify(json, null, 2)}\n`, uploadPath(folder, randomUUID()))
}

function objectRecordPath(folder: string, { bucket, name, generation, deletedAt }: StoredObject): string {
  const version = deletedAt === undefined ? "" : `@${generation}`
  return join(folder, METADATA, bucket, `${recordName(name)}${version}.json`)
}

/** Readable, and by its hash unique: also where it is cut off, and on file systems that ignore case. */
function recordName(name: string): string {
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16)
  return `${encodeURIComponent(name).slice(0, ENCODED_NAME_LENGTH_MAX)}~${hash}`
}

/** Removes `path` and the folders above it, within the bucket's, as long as they are empty. */
function removeEmptyFolders(bucketFolder: string, path: string): void {
  for (let current = path; current.startsWith(`${bucketFolder}/`); current = dirname(current)) {
    try {
      rmdirSync(current)
    } catch {
      return
    }
  }
}
