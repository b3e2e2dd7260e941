#!/usr/bin/env bash
# The section of bootstrap.sh that grants the roles of roles.txt. It sources this file, and has set the names.
# shellcheck disable=SC2154

# grant ON MEMBER ROLE: one line of roles.txt.
grant() {
  local on=$1 flags=(--member="$2" --role="$3") owner=(--project="$project")
  case "$on" in
    # Without a condition, said so: else gcloud asks, where the policy has any.
    project) run gcloud projects add-iam-policy-binding "$project" "${flags[@]}" --condition=None ;;
    bucket) run gcloud storage buckets add-iam-policy-binding "gs://$bucket" "${flags[@]}" ;;
    build-bucket) run gcloud storage buckets add-iam-policy-binding "gs://$build_bucket" "${flags[@]}" ;;
    repository)
      run gcloud artifacts repositories add-iam-policy-binding "$repository" "${owner[@]}" --location="$region" "${flags[@]}"
      ;;
    source-secret)
      if [[ -n "$source_secret" ]]; then
        run gcloud secrets add-iam-policy-binding "$source_secret" "${owner[@]}" "${flags[@]}"
      fi
      ;;
    notify-secret) run gcloud secrets add-iam-policy-binding "$notify_secret" "${owner[@]}" "${flags[@]}" ;;
    page-secret) run gcloud secrets add-iam-policy-binding "$page_secret" "${owner[@]}" "${flags[@]}" ;;
    secret) run gcloud secrets add-iam-policy-binding "$secret" "${owner[@]}" "${flags[@]}" ;;
    topic:*) run gcloud pubsub topics add-iam-policy-binding "${on#*:}" "${owner[@]}" "${flags[@]}" ;;
    service:planner) run gcloud run services add-iam-policy-binding "$planner" "${here[@]}" "${flags[@]}" ;;
    service:finalizer) run gcloud run services add-iam-policy-binding "$finalizer" "${here[@]}" "${flags[@]}" ;;
    service:page) run gcloud run services add-iam-policy-binding "$page" "${here[@]}" "${flags[@]}" ;;
    service:desk) run gcloud run services add-iam-policy-binding "$desk" "${here[@]}" "${flags[@]}" ;;
    service:notify) run gcloud run services add-iam-policy-binding "$notify" "${here[@]}" "${flags[@]}" ;;
    job:worker) run gcloud run jobs add-iam-policy-binding "$worker" "${here[@]}" "${flags[@]}" ;;
    job:migrate) run gcloud run jobs add-iam-policy-binding "$migrate" "${here[@]}" "${flags[@]}" ;;
    account:*) run gcloud iam service-accounts add-iam-policy-binding "$(account "${on#*:}")" "${owner[@]}" "${flags[@]}" ;;
    *) echo "roles.txt: what is $on?" >&2 && exit 1 ;;
  esac
}

section_roles() {
  say "roles: each line of roles.txt"
  local on who role member _why
  while IFS='|' read -r on who role _why; do
    on=${on// /} who=${who// /} role=${role// /}
    if [[ -z "$on" || "$on" == \#* ]]; then continue; fi
    case "$who" in
      pubsub-agent) member="serviceAccount:$pubsub_agent" ;;
      iap-agent) member="serviceAccount:$iap_agent" ;;
      *) member="serviceAccount:$(account "$who")" ;;
    esac
    # Commands must not read the table that is the loop's input.
    grant "$on" "$member" "${role/#custom\//projects/$project/roles/}" </dev/null
  done <roles.txt
}
