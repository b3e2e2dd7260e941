#!/usr/bin/env bash
# Prepares a Google Cloud project for Daybook, once; cloudbuild.yaml does the rest with every push. May be repeated:
# what is there is left, what should be otherwise is updated. See --help.
set -euo pipefail
cd "$(dirname "$0")"

help() {
  cat <<'HELP'
usage: services/provision/bootstrap.sh --project ID [--region REGION] [--dry-run]

Enables the APIs and creates service accounts, roles, bucket, image repository, secret, topics, placeholders of the
Cloud Run services and jobs, scheduler jobs, alert policies and a dashboard. Needs gcloud, and the rights of an owner.

  --project ID       the project
  --region REGION    where everything lives (europe-west1)
  --dry-run          print every command instead; needs neither gcloud nor a project

Environment, with defaults; the names are those of the substitutions of cloudbuild.yaml:
  BUCKET=PROJECT-daybook  REPOSITORY=daybook  PLANNER=daybook-planner  FINALIZER=daybook-finalizer
  WORKER=daybook-worker  MIGRATE=daybook-migrate  DATABASE_SECRET=daybook-database-url
  PAGE=daybook-page  DESK=daybook-desk  PAGE_DATABASE_SECRET=daybook-page-database-url
  NOTIFY=daybook-notify  NOTIFY_SECRET=daybook-notify-secret
  SOURCE_DATABASE_SECRET=       where the shop is read on another server: the secret of SOURCE_DATABASE_URL
  REVENUE_TIME_ZONE=UTC   when a day ends, and for the daily run's schedule
  DAILY_SCHEDULE="30 0 * * *"   when the day before is computed, in that time zone
  NOTIFICATION_CHANNELS=        channels of the alerts, as projects/P/notificationChannels/N, separated by commas
HELP
}

project="" region=europe-west1 dry_run=no
while (($# > 0)); do
  case "$1" in
    --project) project=${2:?--project needs a value} && shift 2 ;;
    --region) region=${2:?--region needs a value} && shift 2 ;;
    --dry-run) dry_run=yes && shift ;;
    --help | -h) help && exit 0 ;;
    *) echo "unknown argument: $1" >&2 && help >&2 && exit 2 ;;
  esac
done
if [[ -z "$project" ]]; then help >&2 && exit 2; fi

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

# Runs a command, or prints it so that it could be pasted.
run() {
  if [[ "$dry_run" == yes ]]; then printf '%q ' "$@" && echo; else "$@"; fi
}

# ensure DESCRIBE… -- CREATE…: creates what cannot be described.
ensure() {
  local describe=()
  while [[ "$1" != -- ]]; do describe+=("$1") && shift; done
  shift
  if [[ "$dry_run" == yes ]]; then
    printf '%q ' "${describe[@]}" && printf '>/dev/null || '
  elif "${describe[@]}" >/dev/null 2>&1; then
    return
  fi
  run "$@"
}

say() { echo "# $*"; }

account() { echo "daybook-$1@$project.iam.gserviceaccount.com"; }

if [[ "$dry_run" == yes ]]; then
  number=PROJECT_NUMBER
else
  number=$(gcloud projects describe "$project" --format='value(projectNumber)')
fi
pubsub_agent="service-$number@gcp-sa-pubsub.iam.gserviceaccount.com"
iap_agent="service-$number@gcp-sa-iap.iam.gserviceaccount.com"
finalizer_url="https://$finalizer-$number.$region.run.app"

say "APIs"
run gcloud services enable --project="$project" \
  artifactregistry.googleapis.com cloudbuild.googleapis.com cloudscheduler.googleapis.com cloudtrace.googleapis.com \
  iam.googleapis.com iap.googleapis.com logging.googleapis.com monitoring.googleapis.com pubsub.googleapis.com run.googleapis.com \
  secretmanager.googleapis.com sqladmin.googleapis.com storage.googleapis.com telemetry.googleapis.com
# Their own accounts do not exist before they are asked for, and cannot be granted anything until then.
run gcloud beta services identity create --service=pubsub.googleapis.com --project="$project"
run gcloud beta services identity create --service=iap.googleapis.com --project="$project"

say "service accounts: one for each part"
for part in planner worker finalizer migrate page desk notify push scheduler build; do
  ensure gcloud iam service-accounts describe "$(account "$part")" --project="$project" -- \
    gcloud iam service-accounts create "daybook-$part" --project="$project" --display-name="Daybook: $part"
done

say "custom roles: single permissions that no predefined role has alone"
custom_role() {
  ensure gcloud iam roles describe "$1" --project="$project" -- \
    gcloud iam roles create "$1" --project="$project" --title="$2" --permissions="$3" --stage=GA
}
custom_role daybookSubscriptionCreator "Daybook: create subscriptions" pubsub.subscriptions.create
custom_role daybookSubscriptionRemover "Daybook: delete subscriptions" pubsub.subscriptions.delete
custom_role daybookExecutionCanceller "Daybook: cancel executions" run.executions.cancel

say "bucket: the evidence. Nobody public, roles for the whole bucket, what is overwritten is kept for 90 days, rejections for 400"
ensure gcloud storage buckets describe "gs://$bucket" -- \
  gcloud storage buckets create "gs://$bucket" --project="$project" --location="$region" \
  --uniform-bucket-level-access --public-access-prevention
run gcloud storage buckets update "gs://$bucket" --versioning --lifecycle-file=bucket-lifecycle.json

say "image repository"
ensure gcloud artifacts repositories describe "$repository" --project="$project" --location="$region" -- \
  gcloud artifacts repositories create "$repository" --project="$project" --location="$region" \
  --repository-format=docker --description="Daybook's image"

say "secrets: they are empty until you add a version, see services/provision/README.md"
for name in "$secret" "$page_secret" "$notify_secret" ${source_secret:+"$source_secret"}; do
  ensure gcloud secrets describe "$name" --project="$project" -- \
    gcloud secrets create "$name" --project="$project" --replication-policy=automatic
done

say "topics: the build adds schemas and subscriptions"
for topic in run-requests run-starts rerun-requests backfill-requests cancel-requests pause-requests release-requests audit-requests work-items shard-reports run-verdicts day-changes dead-letters; do
  ensure gcloud pubsub topics describe "$topic" --project="$project" -- \
    gcloud pubsub topics create "$topic" --project="$project"
done

# The build may deploy to these seven and to nothing else, and roles can be granted on what is there. What stands for a
# service refuses every POST, as nginx does: a message pushed to it comes again, and is not lost.
say "Cloud Run: placeholders, which the first build replaces"
for service in "$planner:planner" "$finalizer:finalizer" "$page:page" "$desk:desk" "$notify:notify"; do
  ensure gcloud run services describe "${service%:*}" --project="$project" --region="$region" -- \
    gcloud run deploy "${service%:*}" --project="$project" --region="$region" --quiet \
    --image=mirror.gcr.io/library/nginx:stable-alpine --port=80 --service-account="$(account "${service#*:}")" \
    --no-allow-unauthenticated --ingress=internal
done
for job in "$worker:worker" "$migrate:migrate"; do
  ensure gcloud run jobs describe "${job%:*}" --project="$project" --region="$region" -- \
    gcloud run jobs create "${job%:*}" --project="$project" --region="$region" \
    --image=us-docker.pkg.dev/cloudrun/container/job --service-account="$(account "${job#*:}")"
done

# grant ON MEMBER ROLE: one line of roles.txt.
grant() {
  local on=$1 flags=(--member="$2" --role="$3")
  local here=(--project="$project") there=(--project="$project" --region="$region")
  case "$on" in
    # Without a condition, said so: else gcloud asks, where the policy has any.
    project) run gcloud projects add-iam-policy-binding "$project" "${flags[@]}" --condition=None ;;
    bucket) run gcloud storage buckets add-iam-policy-binding "gs://$bucket" "${flags[@]}" ;;
    repository)
      run gcloud artifacts repositories add-iam-policy-binding "$repository" "${here[@]}" --location="$region" "${flags[@]}"
      ;;
    source-secret)
      if [[ -n "$source_secret" ]]; then
        run gcloud secrets add-iam-policy-binding "$source_secret" "${here[@]}" "${flags[@]}"
      fi
      ;;
    notify-secret) run gcloud secrets add-iam-policy-binding "$notify_secret" "${here[@]}" "${flags[@]}" ;;
    page-secret) run gcloud secrets add-iam-policy-binding "$page_secret" "${here[@]}" "${flags[@]}" ;;
    secret) run gcloud secrets add-iam-policy-binding "$secret" "${here[@]}" "${flags[@]}" ;;
    topic:*) run gcloud pubsub topics add-iam-policy-binding "${on#*:}" "${here[@]}" "${flags[@]}" ;;
    service:planner) run gcloud run services add-iam-policy-binding "$planner" "${there[@]}" "${flags[@]}" ;;
    service:finalizer) run gcloud run services add-iam-policy-binding "$finalizer" "${there[@]}" "${flags[@]}" ;;
    service:page) run gcloud run services add-iam-policy-binding "$page" "${there[@]}" "${flags[@]}" ;;
    service:desk) run gcloud run services add-iam-policy-binding "$desk" "${there[@]}" "${flags[@]}" ;;
    service:notify) run gcloud run services add-iam-policy-binding "$notify" "${there[@]}" "${flags[@]}" ;;
    job:worker) run gcloud run jobs add-iam-policy-binding "$worker" "${there[@]}" "${flags[@]}" ;;
    job:migrate) run gcloud run jobs add-iam-policy-binding "$migrate" "${there[@]}" "${flags[@]}" ;;
    account:*) run gcloud iam service-accounts add-iam-policy-binding "$(account "${on#*:}")" "${here[@]}" "${flags[@]}" ;;
    *) echo "roles.txt: what is $on?" >&2 && exit 1 ;;
  esac
}

say "roles: each line of roles.txt"
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

# schedule pubsub|http NAME FLAGS…: create and update take the same flags, but for those of attributes.
schedule() {
  local kind=$1 name=$2 verb=create attributes=attributes
  shift 2
  if [[ "$dry_run" == no ]] &&
    gcloud scheduler jobs describe "$name" --project="$project" --location="$region" >/dev/null 2>&1; then
    verb=update attributes=update-attributes
  fi
  if [[ "$kind" == pubsub ]]; then set -- "$@" "--$attributes=via=scheduler"; fi
  run gcloud scheduler jobs "$verb" "$kind" "$name" --project="$project" --location="$region" "$@"
}
say "scheduler: the day before every day, and the sweep every minute"
schedule pubsub daybook-daily --schedule="$daily" --time-zone="$time_zone" \
  --topic=run-requests --message-body='{"date":"yesterday"}'
# A sweep that takes longer than a minute is not started twice: https://cloud.google.com/scheduler/docs/overview
schedule http daybook-sweep --schedule="* * * * *" --uri="$finalizer_url/sweep" --http-method=post \
  --oidc-service-account-email="$(account scheduler)" --oidc-token-audience="$finalizer_url" --attempt-deadline=600s

# Alert policies have been a preview's for long: whichever of the two this gcloud has.
policies=(gcloud alpha monitoring policies)
if [[ "$dry_run" == no ]] && gcloud monitoring policies list --help >/dev/null 2>&1; then policies=(gcloud monitoring policies); fi
say "alerts"
ensure gcloud logging metrics describe daybook_sweeps --project="$project" -- \
  gcloud logging metrics create daybook_sweeps --project="$project" --config-from-file=alerts/sweeps.metric.yaml
for policy in day-late no-sweep duty-failing verdict-incomplete notification-refused dead-letters; do
  file=alerts/$policy.yaml
  title=$(sed -n 's/^displayName: "\(.*\)"$/\1/p' "$file")
  flags=(--project="$project" --policy-from-file="$file")
  existing=""
  if [[ "$dry_run" == no ]]; then
    # No --limit: gcloud cuts the list before it looks for the title.
    existing=$("${policies[@]}" list --project="$project" --filter="displayName=\"$title\"" --format='value(name)')
    existing=${existing%%$'\n'*}
  fi
  if [[ -n "$existing" ]]; then
    run "${policies[@]}" update "$existing" "${flags[@]}"
  else
    run "${policies[@]}" create "${flags[@]}" ${channels:+--notification-channels="$channels"}
  fi
done

# It shows what OTEL_METRICS_EXPORTER exports. An update names the version that it is made of.
say "dashboard"
existing="" etag=""
if [[ "$dry_run" == no ]]; then
  read -r existing etag < <(gcloud monitoring dashboards list --project="$project" --filter='displayName="Daybook"' \
    --format='value(name,etag)') || true
fi
if [[ -n "$existing" ]]; then
  run gcloud monitoring dashboards update "$existing" --project="$project" \
    --config="$(cat dashboard.yaml && echo "etag: '$etag'")"
else
  run gcloud monitoring dashboards create --project="$project" --config-from-file=dashboard.yaml
fi
say "done. Next: add the secret's first version, connect the repository to Cloud Build, push (see services/provision/README.md)"
