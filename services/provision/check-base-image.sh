#!/usr/bin/env bash
# Reports whether the base image that services/Dockerfile pins is still what its tag names. Needs docker and a network.
# Exit codes: 0 it is, 1 the tag has a newer one, or docker failed.
set -euo pipefail
cd "$(dirname "$0")/../.."

pinned=$(sed -n 's/^ARG NODE_IMAGE=//p' services/Dockerfile)
tag=${pinned%@*}
docker pull --quiet "$tag" >/dev/null
newest=$(docker inspect --format '{{index .RepoDigests 0}}' "$tag")
if [[ "${newest#*@}" == "${pinned#*@}" ]]; then
  echo "The base image is the newest of $tag."
else
  echo "Warning: the base image is not the newest of $tag: security updates are missing."
  echo "Write this into services/Dockerfile and push: ARG NODE_IMAGE=$tag@${newest#*@}"
  exit 1
fi
