#!/usr/bin/env bash
# How bootstrap.sh asks gcloud. It sources this file, and sets $dry_run and $wait_seconds.
# shellcheck disable=SC2154

# gcloud's words for a resource that is not there: a 404, for most kinds, for buckets, and for Cloud Run. Every other
# failure says nothing about the resource. PERMISSION_DENIED, for one, always adds "or it may not exist".
not_found='^ERROR: \(gcloud[a-z.-]*\) (NOT_FOUND:|gs://[^ ]+ not found: 404|Cannot find (service|job) \[)'

# Google's words for an API, an account or a role that is new and not known everywhere yet. Both take minutes:
# https://cloud.google.com/service-usage/docs/enable-disable, https://cloud.google.com/iam/docs/access-change-propagation
api_is_new='SERVICE_DISABLED|has not been used in project'
account_is_new='Unknown service account|[Ss]ervice account [^ ]+ (does not exist|\(or it may not exist)|[Rr]ole [^ ]+ does not exist'

PAUSE_SECONDS=5

# Errors are read before they are shown, and a question of gcloud's would not be seen.
export CLOUDSDK_CORE_DISABLE_PROMPTS=1

say() { echo "# $*"; }

# attempt WORDS COMMAND…: runs a command, and again for $wait_seconds while its error has such words. $problem is what it
# wrote to its error output the last time.
problem=""
attempt() {
  local words=$1 errors waited=0 code
  shift
  errors=$(mktemp)
  while true; do
    code=0
    "$@" 2>"$errors" || code=$?
    problem=$(<"$errors")
    if ((code == 0 || waited >= wait_seconds)) || [[ ! "$problem" =~ $words ]]; then break; fi
    echo "# not known everywhere yet, after $waited of $wait_seconds s: ${problem%%$'\n'*}" >&2
    sleep "$PAUSE_SECONDS"
    waited=$((waited + PAUSE_SECONDS))
  done
  rm -f "$errors"
  return "$code"
}

# Runs a command, or prints it so that it can be pasted.
run() {
  if [[ "$dry_run" == yes ]]; then
    printf '%q ' "$@" && echo
    return
  fi
  local code=0
  attempt "$api_is_new|$account_is_new" "$@" || code=$?
  if [[ -n "$problem" ]]; then echo "$problem" >&2; fi
  return "$code"
}

# Ends the bootstrap where gcloud could not answer: a guess might replace what is there.
stop_unanswered() {
  echo "$problem" >&2
  echo "Error: gcloud could not say what is there, so nothing was created: $*" >&2
  echo "Run the bootstrap again: what is there is left as it is." >&2
  exit 1
}

# Asks a question, and prints the answer.
ask() { attempt "$api_is_new" "$@" || stop_unanswered "$@"; }

# exists DESCRIBE…: whether a resource is there.
exists() {
  if attempt "$api_is_new" "$@" >/dev/null; then return 0; fi
  if [[ "$problem" =~ $not_found ]]; then return 1; fi
  stop_unanswered "$@"
}

# ensure DESCRIBE… -- CREATE…: creates what is not there.
ensure() {
  local describe=()
  while [[ "$1" != -- ]]; do describe+=("$1") && shift; done
  shift
  if [[ "$dry_run" == yes ]]; then
    printf '%q ' "${describe[@]}" && printf '>/dev/null || '
  elif exists "${describe[@]}"; then
    return
  fi
  run "$@"
}
