#!/usr/bin/env bash
# Prepares a Google Cloud project for Daybook, once; cloudbuild.yaml does the rest with every push. May be repeated: it
# creates what is not there, updates what should be otherwise, and leaves everything else. See --help.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=services/provision/ask-gcloud.sh
source ask-gcloud.sh

all_sections=(apis accounts custom-roles bucket build-bucket repository secrets topics placeholders iap roles scheduler alerts dashboard)

help() {
  cat <<HELP
usage: services/provision/bootstrap.sh --project ID [--region REGION] [--only SECTION,…] [--dry-run]

Enables the APIs and creates service accounts, roles, buckets, image repository, secrets, topics, placeholders of the
Cloud Run services and jobs, scheduler jobs, alert policies and a dashboard. Needs gcloud, and the rights of an owner.

  --project ID       the project
  --region REGION    where everything lives (europe-west1)
  --only SECTION,…   some of the sections: ${all_sections[*]}
  --dry-run          print every command instead; needs neither gcloud nor a project

Environment, with defaults; the names are those of the substitutions of cloudbuild.yaml:
  BUCKET=PROJECT-daybook  REPOSITORY=daybook  PLANNER=daybook-planner  FINALIZER=daybook-finalizer
  WORKER=daybook-worker  MIGRATE=daybook-migrate  DATABASE_SECRET=daybook-database-url
  PAGE=daybook-page  DESK=daybook-desk  PAGE_DATABASE_SECRET=daybook-page-database-url
  NOTIFY=daybook-notify  NOTIFY_SECRET=daybook-notify-secret
  BUILD_BUCKET=PROJECT-daybook-build   the source of builds that you submit manually
  SOURCE_DATABASE_SECRET=       where the shop is read on another server: the secret of SOURCE_DATABASE_URL
  REVENUE_TIME_ZONE=UTC   when a day ends, and for the daily run's schedule
  DAILY_SCHEDULE="30 0 * * *"   when the day before is computed, in that time zone
  NOTIFICATION_CHANNELS=        channels of the alerts, as projects/P/notificationChannels/N, separated by commas
  WAIT_SECONDS=420        how long a step waits until new APIs, accounts and roles are known everywhere
HELP
}

project="" region=europe-west1 dry_run=no only=""
while (($# > 0)); do
  case "$1" in
    --project) project=${2:?--project needs a value} && shift 2 ;;
    --region) region=${2:?--region needs a value} && shift 2 ;;
    --only) only=${2:?--only needs a value} && shift 2 ;;
    --dry-run) dry_run=yes && shift ;;
    --help | -h) help && exit 0 ;;
    *) echo "unknown argument: $1" >&2 && help >&2 && exit 2 ;;
  esac
done
if [[ -z "$project" ]]; then help >&2 && exit 2; fi
sections=("${all_sections[@]}")
if [[ -n "$only" ]]; then
  IFS=, read -ra sections <<<"$only"
  for section in "${sections[@]}"; do
    if [[ " ${all_sections[*]} " != *" $section "* ]]; then echo "unknown section: $section" >&2 && help >&2 && exit 2; fi
  done
fi

bucket=${BUCKET:-$project-daybook}
repository=${REPOSITORY:-daybook}
planner=${PLANNER:-daybook-planner}
finalizer=${FINALIZER:-daybook-finalizer}
worker=${WORKER:-daybook-worker}
migrate=${MIGRATE:-daybook-migrate}
page=${PAGE:-daybook-page}
desk=${DESK:-daybook-desk}
notify=${NOTIFY:-daybook-notify}
secret=${DATABASE_SECRET:-daybook-database-url}
page_secret=${PAGE_DATABASE_SECRET:-daybook-page-database-url}
notify_secret=${NOTIFY_SECRET:-daybook-notify-secret}
source_secret=${SOURCE_DATABASE_SECRET:-}
time_zone=${REVENUE_TIME_ZONE:-UTC}
daily=${DAILY_SCHEDULE:-30 0 * * *}
channels=${NOTIFICATION_CHANNELS:-}
build_bucket=${BUILD_BUCKET:-$project-daybook-build}
# Google: changes of access take two minutes as a rule, and sometimes seven or more.
wait_seconds=${WAIT_SECONDS:-420}

account() { echo "daybook-$1@$project.iam.gserviceaccount.com"; }

if [[ "$dry_run" == yes ]]; then
  number=PROJECT_NUMBER
else
  number=$(gcloud projects describe "$project" --format='value(projectNumber)')
fi
pubsub_agent="service-$number@gcp-sa-pubsub.iam.gserviceaccount.com"
iap_agent="service-$number@gcp-sa-iap.iam.gserviceaccount.com"
finalizer_url="https://$finalizer-$number.$region.run.app"
here=(--project="$project" --region="$region")

section_apis() {
  say "APIs"
  run gcloud services enable --project="$project" \
    artifactregistry.googleapis.com cloudbuild.googleapis.com cloudscheduler.googleapis.com cloudtrace.googleapis.com \
    iam.googleapis.com iap.googleapis.com logging.googleapis.com monitoring.googleapis.com pubsub.googleapis.com \
    run.googleapis.com secretmanager.googleapis.com sqladmin.googleapis.com storage.googleapis.com telemetry.googleapis.com
  # Their own accounts do not exist before they are asked for, and cannot be granted anything until then.
  run gcloud beta services identity create --service=pubsub.googleapis.com --project="$project"
  run gcloud beta services identity create --service=iap.googleapis.com --project="$project"
}

section_accounts() {
  say "service accounts: one for each part"
  local part
  for part in planner worker finalizer migrate page desk notify push scheduler build; do
    ensure gcloud iam service-accounts describe "$(account "$part")" --project="$project" -- \
      gcloud iam service-accounts create "daybook-$part" --project="$project" --display-name="Daybook: $part"
  done
}

custom_role() {
  ensure gcloud iam roles describe "$1" --project="$project" -- \
    gcloud iam roles create "$1" --project="$project" --title="$2" --permissions="$3" --stage=GA
}
section_custom-roles() {
  say "custom roles: single permissions that no predefined role has alone"
  custom_role daybookSubscriptionCreator "Daybook: create subscriptions" pubsub.subscriptions.create
  custom_role daybookSubscriptionRemover "Daybook: delete subscriptions" pubsub.subscriptions.delete
  custom_role daybookExecutionCanceller "Daybook: cancel executions" run.executions.cancel
}

# bucket NAME LIFECYCLE FLAGS…: a bucket that may have been there before gets the same protection. Without soft delete:
# what `forget` removes is removed, and not restorable for seven days, which is Google's default.
ensure_bucket() {
  local name=$1 lifecycle=$2
  shift 2
  ensure gcloud storage buckets describe "gs://$name" -- \
    gcloud storage buckets create "gs://$name" --project="$project" --location="$region" \
    --uniform-bucket-level-access --public-access-prevention --soft-delete-duration=0
  run gcloud storage buckets update "gs://$name" --uniform-bucket-level-access --public-access-prevention \
    --clear-soft-delete --lifecycle-file="$lifecycle" "$@"
}
section_bucket() {
  say "bucket: the evidence. Nobody public, roles for the whole bucket, what is overwritten is kept for 90 days, rejections for 400"
  ensure_bucket "$bucket" bucket-lifecycle.json --versioning
}
section_build-bucket() {
  say "bucket: the source of builds that you submit manually, for seven days"
  ensure_bucket "$build_bucket" build-bucket-lifecycle.json
}

section_repository() {
  say "image repository: the newest twenty images stay, and older ones for 90 days"
  ensure gcloud artifacts repositories describe "$repository" --project="$project" --location="$region" -- \
    gcloud artifacts repositories create "$repository" --project="$project" --location="$region" \
    --repository-format=docker --description="Daybook's image"
  run gcloud artifacts repositories set-cleanup-policies "$repository" --project="$project" --location="$region" \
    --policy=image-cleanup.json --no-dry-run
}

section_secrets() {
  say "secrets: they are empty until you add a version, see services/provision/README.md"
  local name
  for name in "$secret" "$page_secret" "$notify_secret" ${source_secret:+"$source_secret"}; do
    ensure gcloud secrets describe "$name" --project="$project" -- \
      gcloud secrets create "$name" --project="$project" --replication-policy=automatic
  done
}

section_topics() {
  say "topics: the build adds schemas and subscriptions"
  local topic
  for topic in run-requests run-starts rerun-requests backfill-requests cancel-requests pause-requests release-requests \
    audit-requests work-items shard-reports run-verdicts day-changes dead-letters; do
    ensure gcloud pubsub topics describe "$topic" --project="$project" -- \
      gcloud pubsub topics create "$topic" --project="$project"
  done
}

# The build may deploy to these seven and to nothing else, and roles can be granted on what is there. A placeholder is the
# image's own base, by its digest. That of a service answers 503: a message pushed to it comes again, and is not lost.
# It listens on 8080 as the program does: the port is a setting that a deploy keeps unless told otherwise.
section_placeholders() {
  say "Cloud Run: placeholders, which the first build replaces"
  local service job base image
  base=$(sed -n 's/^ARG NODE_IMAGE=//p' ../Dockerfile)
  image="mirror.gcr.io/library/${base%%:*}@${base#*@}"
  for service in "$planner:planner" "$finalizer:finalizer" "$page:page" "$desk:desk" "$notify:notify"; do
    ensure gcloud run services describe "${service%:*}" "${here[@]}" -- \
      gcloud run deploy "${service%:*}" "${here[@]}" --quiet --image="$image" --port=8080 \
      --args='^;^-e;require("node:http").createServer((_, answer) => answer.writeHead(503).end()).listen(process.env.PORT)' \
      --service-account="$(account "${service#*:}")" --no-allow-unauthenticated --ingress=internal
  done
  for job in "$worker:worker" "$migrate:migrate"; do
    ensure gcloud run jobs describe "${job%:*}" "${here[@]}" -- \
      gcloud run jobs create "${job%:*}" "${here[@]}" --image="$image" --args=-e,0 \
      --service-account="$(account "${job#*:}")"
  done
}

# Turning it on needs roles/run.admin, which the build does not have: a build keeps what is here.
# https://cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run
section_iap() {
  say "Identity-Aware Proxy, in front of the page and the desk"
  local service state
  for service in "$page" "$desk"; do
    state=""
    if [[ "$dry_run" == no ]]; then state=$(ask gcloud run services describe "$service" "${here[@]}" --format=json); fi
    if [[ ! "$state" =~ iap-enabled\"?:\ *\"?true ]]; then
      run gcloud beta run services update "$service" "${here[@]}" --iap
    fi
  done
}

# schedule pubsub|http NAME FLAGS…: create and update take the same flags, but for those of attributes.
schedule() {
  local kind=$1 name=$2 verb=create attributes=attributes
  shift 2
  if [[ "$dry_run" == no ]] && exists gcloud scheduler jobs describe "$name" --project="$project" --location="$region"; then
    verb=update attributes=update-attributes
  fi
  if [[ "$kind" == pubsub ]]; then set -- "$@" "--$attributes=via=scheduler"; fi
  run gcloud scheduler jobs "$verb" "$kind" "$name" --project="$project" --location="$region" "$@"
}
section_scheduler() {
  say "scheduler: the day before every day, and the sweep every minute"
  schedule pubsub daybook-daily --schedule="$daily" --time-zone="$time_zone" \
    --topic=run-requests --message-body='{"date":"yesterday"}'
  # A sweep that takes longer than a minute is not started twice: https://cloud.google.com/scheduler/docs/overview
  schedule http daybook-sweep --schedule="* * * * *" --uri="$finalizer_url/sweep" --http-method=post \
    --oidc-service-account-email="$(account scheduler)" --oidc-token-audience="$finalizer_url" --attempt-deadline=600s
}

section_alerts() {
  say "alerts"
  # Alert policies have been a preview's for long: whichever of the two this gcloud has.
  local policies=(gcloud alpha monitoring policies) policy file title flags existing
  if [[ "$dry_run" == no ]] && gcloud monitoring policies list --help >/dev/null 2>&1; then
    policies=(gcloud monitoring policies)
  fi
  ensure gcloud logging metrics describe daybook_sweeps --project="$project" -- \
    gcloud logging metrics create daybook_sweeps --project="$project" --config-from-file=alerts/sweeps.metric.yaml
  for policy in day-late no-sweep duty-failing verdict-incomplete notification-refused dead-letters; do
    file=alerts/$policy.yaml
    title=$(sed -n 's/^displayName: "\(.*\)"$/\1/p' "$file")
    flags=(--project="$project" --policy-from-file="$file")
    existing=""
    if [[ "$dry_run" == no ]]; then
      # No --limit: gcloud cuts the list before it looks for the title.
      existing=$(ask "${policies[@]}" list --project="$project" --filter="displayName=\"$title\"" --format='value(name)')
      existing=${existing%%$'\n'*}
    fi
    if [[ -n "$existing" ]]; then
      run "${policies[@]}" update "$existing" "${flags[@]}"
    else
      run "${policies[@]}" create "${flags[@]}" ${channels:+--notification-channels="$channels"}
    fi
  done
}

# It shows what OTEL_METRICS_EXPORTER exports. An update names the version that it is made of.
section_dashboard() {
  say "dashboard"
  local answer="" existing etag
  if [[ "$dry_run" == no ]]; then
    answer=$(ask gcloud monitoring dashboards list --project="$project" --filter='displayName="Daybook"' \
      --format='value(name,etag)')
  fi
  read -r existing etag <<<"$answer" || true
  if [[ -n "$existing" ]]; then
    run gcloud monitoring dashboards update "$existing" --project="$project" \
      --config="$(cat dashboard.yaml && echo "etag: '$etag'")"
  else
    run gcloud monitoring dashboards create --project="$project" --config-from-file=dashboard.yaml
  fi
}

# shellcheck source=services/provision/grant-roles.sh
source grant-roles.sh
for section in "${sections[@]}"; do "section_$section"; done
say "done. Next: add the secret's first version, connect the repository to Cloud Build, push (see services/provision/README.md)"
