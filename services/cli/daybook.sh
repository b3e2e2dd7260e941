#!/bin/sh
# The command of package.json's "bin": with the Node of this folder, whatever the machine's is.
root=$(dirname "$(realpath "$0")")/../..
exec "$root/node_modules/.bin/node" "$root/services/cli/main.ts" "$@"
