#!/usr/bin/env bash
# What the deploying steps of cloudbuild.yaml share. They source it; the build's substitutions are its environment.
# shellcheck disable=SC2034 # used by the steps

# By digest, as the image step wrote it down: a tag may be moved meanwhile.
image=$(cat /workspace/image)

common=(--project="$PROJECT_ID" --region="$_REGION" --quiet)
# Cloud Run keeps what a deploy does not mention. What decides which program starts and what it sees is the build's: so all
# of it is mentioned, and a command, a volume or a network of an earlier day or of somebody's own does not stay.
deployed=(--image="$image" --labels="commit=${COMMIT_SHA:-none}" --command= --clear-volumes --clear-volume-mounts)
# Of a service also what it is asked by. The program listens where PORT says, and may not bind a port below 1024.
served=("${deployed[@]}" --port=8080 --startup-probe= --liveness-probe= --no-use-http2)

# A private database is reached through the network; everything else goes the usual way.
network=(--clear-network)
address=PUBLIC
if [[ "$_NETWORK" != none ]]; then
  network=(--network="${_NETWORK%/*}" --subnet="${_NETWORK#*/}" --vpc-egress=private-ranges-only)
  address=PRIVATE
fi

planner_url="https://$_PLANNER-$PROJECT_NUMBER.$_REGION.run.app"
finalizer_url="https://$_FINALIZER-$PROJECT_NUMBER.$_REGION.run.app"
notify_url="https://$_NOTIFY-$PROJECT_NUMBER.$_REGION.run.app"
page_url="https://$_PAGE-$PROJECT_NUMBER.$_REGION.run.app"

# Environment variables of a service or job, separated by commas as gcloud wants them. No value holds a comma.
database="LOG_LEVEL=info"
if [[ "$_CLOUD_SQL_INSTANCE" != none ]]; then database+=",CLOUD_SQL_INSTANCE=$_CLOUD_SQL_INSTANCE,CLOUD_SQL_ADDRESS=$address"; fi
secrets="DATABASE_URL=$_DATABASE_SECRET:latest"
# Of those that read the shop, where that is apart: what $database and $secrets have more.
source=""
if [[ "$_SOURCE_DATABASE_SECRET" != none ]]; then secrets+=",SOURCE_DATABASE_URL=$_SOURCE_DATABASE_SECRET:latest"; fi
if [[ "$_SOURCE_CLOUD_SQL_INSTANCE" != none ]]; then source=",SOURCE_CLOUD_SQL_INSTANCE=$_SOURCE_CLOUD_SQL_INSTANCE"; fi
if [[ "$_SHOP_FILE" != none ]]; then database+=",SHOP_FILE=$_SHOP_FILE"; fi
google="GOOGLE_CLOUD_PROJECT=$PROJECT_ID,BUCKET=$_BUCKET"
if [[ "$_TRACES_ENDPOINT" != none ]]; then
  google+=",OTEL_TRACES_EXPORTER=otlp,OTEL_EXPORTER_OTLP_ENDPOINT=$_TRACES_ENDPOINT"
fi
if [[ "$_METRICS_ENDPOINT" != none ]]; then
  # Cloud Monitoring takes no metric without a place.
  google+=",OTEL_METRICS_EXPORTER=otlp,OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=$_METRICS_ENDPOINT/v1/metrics"
  google+=",OTEL_RESOURCE_ATTRIBUTES=cloud.region=$_REGION"
fi
# Of those that read whole days of the shop: when they wait for its server.
throttle=""
if [[ "$_THROTTLE_THREADS_RUNNING" != none ]]; then throttle+=",THROTTLE_THREADS_RUNNING=$_THROTTLE_THREADS_RUNNING"; fi
if [[ "$_THROTTLE_REPLICA_LAG_SECONDS" != none ]]; then throttle+=",THROTTLE_REPLICA_LAG_SECONDS=$_THROTTLE_REPLICA_LAG_SECONDS"; fi
if [[ "$_THROTTLE_QUERY" != none ]]; then throttle+=",THROTTLE_QUERY=$_THROTTLE_QUERY"; fi
if [[ "$throttle" == *,THROTTLE_QUERY=*,* ]]; then
  echo "_THROTTLE_QUERY holds a comma, at which gcloud ends a value: make the query a view, and select its number" >&2
  exit 1
fi
if [[ -n "$throttle" ]]; then throttle+=",THROTTLE_MINUTES_MAX=$_THROTTLE_MINUTES_MAX"; fi
job="WORKER_JOB=projects/$PROJECT_ID/locations/$_REGION/jobs/$_WORKER"

# Cloud Run lets nobody in but by name, as bootstrap.sh has set it, and takes the signature off the tokens that it has
# checked. A service that is open must not believe such tokens, so it is not deployed.
push="PUSH_TOKENS=trust-cloud-run"
require_locked() {
  local policy service
  policy=$(gcloud run services get-iam-policy "$1" "${common[@]}" --format=json)
  service=$(gcloud run services describe "$1" "${common[@]}" --format=json)
  if [[ "$policy" =~ allUsers|allAuthenticatedUsers || "$service" =~ invoker-iam-disabled\"?:\ *\"?true ]]; then
    echo "$1 may be called by anybody: take the role from allUsers, or turn the IAM check on again" >&2
    return 1
  fi
}

# Only bootstrap.sh can turn Identity-Aware Proxy on: the build does not have roles/run.admin. Without it in front, the page
# refuses everybody.
require_iap() {
  local service
  service=$(gcloud run services describe "$1" "${common[@]}" --format=json)
  if [[ ! "$service" =~ iap-enabled\"?:\ *\"?true ]]; then
    echo "Error: $1 is not behind Identity-Aware Proxy, so it is not deployed. Run as an owner:" >&2
    echo "  services/provision/bootstrap.sh --project $PROJECT_ID --region $_REGION --only iap" >&2
    return 1
  fi
}

# Whose connections a part's are, where DATABASE_URL names nobody: MySQL knows a service account by its name.
user() { echo "DATABASE_USER=daybook-$1"; }

# The service account of a part.
account() { echo "daybook-$1@$PROJECT_ID.iam.gserviceaccount.com"; }
