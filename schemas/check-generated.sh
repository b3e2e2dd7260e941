#!/usr/bin/env bash
# Fails if what is generated from the contracts and tables is not what is committed; `npm run generate` mends it.
set -euo pipefail
cd "$(dirname "$0")/.."
room=.build/generated
rm -rf "$room" && mkdir -p "$room"

buf generate --template schemas/buf.gen.yaml -o "$room" schemas
for folder in messages documents; do
  diff -r --exclude='*.proto' --exclude=README.md "schemas/$folder" "$room/schemas/$folder" ||
    { echo "schemas/$folder is not what its .proto files generate: npm run generate" >&2; exit 1; }
done

cp -r schemas/database/migrations "$room/migrations"
drizzle-kit generate --dialect mysql --schema './schemas/database/{ledger,revenue}.ts' --out "$room/migrations" >/dev/null
diff -r schemas/database/migrations "$room/migrations" ||
  { echo "the tables have changed and no migration says so: npm run generate" >&2; exit 1; }
