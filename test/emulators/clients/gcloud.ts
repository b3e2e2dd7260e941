import { randomBytes } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Client, isThere, run, type Servers, type Tried, tryCommand } from "./client.ts"

const BIG_BYTES = 20 * 1024 * 1024
const REGION = "europe-west1"

export const gcloud: Client = {
  name: "gcloud",
  missing: async () => ((await isThere("gcloud", "version")) ? undefined : "gcloud is not on this machine"),
  async *try(servers) {
    const call = await openGcloud(servers)
    const { folder } = servers
    await mkdir(join(folder, "tree/deep"), { recursive: true })
    for (const name of ["small.txt", "tree/a", "tree/deep/b"]) await writeFile(join(folder, name), `of ${name}\n`)
    await writeFile(join(folder, "big"), randomBytes(BIG_BYTES))
    const step = (service: Tried["service"], operation: string, args: string, expected = /./) =>
      tryCommand({ service, operation }, call(args.split(" ")), expected)

    yield* pubsubSteps(call)
    yield step("Storage", "create a bucket", "storage buckets create gs://by-gcloud", /Creating/)
    yield step("Storage", "upload", "storage cp small.txt gs://by-gcloud/small.txt", /Copying/)
    yield step("Storage", "upload in chunks", "storage cp big gs://by-gcloud/big", /Copying/)
    yield step("Storage", "upload a folder", "storage rsync -r tree gs://by-gcloud/tree", /Copying/)
    yield step("Storage", "list", "storage ls -r gs://by-gcloud/**", /by-gcloud\/tree\/deep\/b/)
    yield step("Storage", "read", "storage cat gs://by-gcloud/small.txt", /of small.txt/)
    yield step("Storage", "read a range", "storage cat -r 3-7 gs://by-gcloud/small.txt", /^small$/m)
    yield step("Storage", "download", "storage cp gs://by-gcloud/big big.back", /Copying/)
    yield tryCommand(
      { service: "Storage", operation: "download what was uploaded" },
      run("cmp", ["big", "big.back"], { cwd: folder }),
      /^$/,
    )
    yield step("Storage", "copy", "storage cp gs://by-gcloud/small.txt gs://by-gcloud/copy.txt", /Copying/)
    yield step("Storage", "move", "storage mv gs://by-gcloud/copy.txt gs://by-gcloud/moved.txt")
    yield step(
      "Storage",
      "compose",
      "storage objects compose gs://by-gcloud/small.txt gs://by-gcloud/moved.txt gs://by-gcloud/both",
      /Composing/,
    )
    yield step("Storage", "set metadata", "storage objects update gs://by-gcloud/both --custom-metadata=a=b")
    yield step("Storage", "describe", "storage objects describe gs://by-gcloud/both", /a: b/)
    yield step("Storage", "keep versions", "storage buckets update gs://by-gcloud --versioning")
    yield step("Storage", "overwrite", "storage cp big gs://by-gcloud/both", /Copying/)
    yield step("Storage", "list versions", "storage ls -a gs://by-gcloud/both", /both#\d+\s+gs:\/\/by-gcloud\/both#\d+/)
    const member = ["--member=allUsers", "--role=roles/storage.objectViewer"]
    yield tryCommand(
      { service: "Storage", operation: "grant a role" },
      call(["storage", "buckets", "add-iam-policy-binding", "gs://by-gcloud", ...member]),
      /roles\/storage.objectViewer/,
    )
    yield step("Storage", "read the IAM policy", "storage buckets get-iam-policy gs://by-gcloud", /allUsers/)
    yield step("Storage", "delete all", "storage rm -r gs://by-gcloud", /Removing/)
    yield* runSteps(servers, call)
  },
}

type Call = (args: string[]) => ReturnType<typeof run>

/** gcloud as the local cloud's exported lines make it, with a configuration of its own. */
export async function openGcloud({ pubsub, storage, folder }: Servers): Promise<Call> {
  const env = {
    CLOUDSDK_CONFIG: join(folder, "gcloud"),
    CLOUDSDK_CORE_PROJECT: "local",
    CLOUDSDK_CORE_DISABLE_PROMPTS: "1",
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: "true",
    CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB: `http://${pubsub}/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${storage}/storage/v1/`,
  }
  return (args) => run("gcloud", args, { env, cwd: folder })
}

/** Also for Google's own emulator, to see what that does. */
export async function* pubsubSteps(call: Call): AsyncGenerator<Tried> {
  const step = (operation: string, args: string[], expected = /./) =>
    tryCommand({ service: "Pub/Sub", operation }, call(["pubsub", ...args]), expected)
  yield step("create a topic", ["topics", "create", "by-gcloud"], /Created topic/)
  yield step(
    "create a subscription",
    ["subscriptions", "create", "by-gcloud-sub", "--topic=by-gcloud", "--ack-deadline=20"],
    /Created/,
  )
  yield step("publish", ["topics", "publish", "by-gcloud", "--message=hello", "--attribute=a=b"], /messageIds/)
  yield step("pull and acknowledge", ["subscriptions", "pull", "by-gcloud-sub", "--auto-ack"], /hello/)
  yield step("update", ["subscriptions", "update", "by-gcloud-sub", "--ack-deadline=30"], /Updated/)
  yield step("list", ["subscriptions", "list"], /ackDeadlineSeconds: 30/)
  yield step("snapshot", ["snapshots", "create", "by-gcloud-snap", "--subscription=by-gcloud-sub"], /Created snapshot/)
  yield step(
    "seek to a snapshot",
    ["subscriptions", "seek", "by-gcloud-sub", "--snapshot=by-gcloud-snap"],
    /by-gcloud-snap/,
  )
  yield step(
    "seek to a time",
    ["subscriptions", "seek", "by-gcloud-sub", "--time=2026-01-01T00:00:00Z"],
    /by-gcloud-sub/,
  )
  const avro = '{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}'
  yield step(
    "create an Avro schema",
    ["schemas", "create", "by-gcloud-avro", "--type=avro", `--definition=${avro}`],
    /Created schema/,
  )
  const binding = ["--member=allUsers", "--role=roles/pubsub.publisher"]
  yield step("grant a role", ["topics", "add-iam-policy-binding", "by-gcloud", ...binding], /roles\/pubsub.publisher/)
  yield step("read the IAM policy", ["topics", "get-iam-policy", "by-gcloud"], /allUsers/)
  yield step("detach", ["topics", "detach-subscription", "by-gcloud-sub"], /Detached/)
  yield step("delete", ["topics", "delete", "by-gcloud"], /Deleted topic/)
}

/** Its addresses begin with the region, which no name on this machine does: so the server is its proxy. */
async function* runSteps({ run: host, folder }: Servers, _call: Call): AsyncGenerator<Tried> {
  const env = {
    CLOUDSDK_CONFIG: join(folder, "gcloud"),
    CLOUDSDK_CORE_PROJECT: "local",
    CLOUDSDK_CORE_DISABLE_PROMPTS: "1",
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: "true",
    CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN: "http://run.local/",
    CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER: "http://run.local/",
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE: "http://run.local/",
    http_proxy: `http://${host}`,
  }
  const jobs = (...args: string[]) =>
    run("gcloud", ["run", "jobs", ...args, `--region=${REGION}`], { env, cwd: folder })
  const step = (operation: string, args: string[], expected = /./) =>
    tryCommand({ service: "Run", operation }, jobs(...args), expected)
  yield step(
    "create a job",
    ["create", "hello", "--image=hello", "--tasks=2", "--cpu=2", "--memory=1Gi"],
    /successfully/,
  )
  yield step(
    "update a job",
    ["update", "hello", "--max-retries=1", "--set-env-vars=A=a,B=b", "--memory=2Gi"],
    /successfully/,
  )
  yield step(
    "deploy a job",
    ["deploy", "hello", "--image=hello", "--task-timeout=100s", "--labels=team=a"],
    /successfully/,
  )
  yield tryCommand({ service: "Run", operation: "replace a job" }, replaceJob(jobs, folder), /successfully updated/)
  yield step("describe a job", ["describe", "hello"], /Tasks: +2[^]*Memory: +2Gi/)
  yield step("execute and wait", ["execute", "hello", "--wait"], /successfully completed/)
  yield step(
    "execute with overrides",
    ["execute", "hello", "--tasks=1", "--update-env-vars=A=b"],
    /successfully started/,
  )
  yield step("list executions", ["executions", "list", "--job=hello"], /2 \/ 2/)
  const { output } = await jobs("executions", "list", "--job=hello", "--format=value(name)")
  const [execution = ""] = output.trim().split("\n")
  yield step("describe an execution", ["executions", "describe", execution], /Tasks: +1/)
  yield step("list tasks", ["executions", "tasks", "list", `--execution=${execution}`], /-task0/)
  yield step("create a job", ["create", "slow", "--image=slow"], /successfully/)
  yield step("execute without waiting", ["execute", "slow"], /successfully started/)
  const running = await jobs("executions", "list", "--job=slow", "--format=value(name)")
  yield step("cancel an execution", ["executions", "cancel", running.output.trim()], /Cancelled execution/)
  const member = ["--member=allUsers", "--role=roles/run.invoker"]
  yield step("grant a role", ["add-iam-policy-binding", "hello", ...member], /allUsers/)
  yield step("read the IAM policy", ["get-iam-policy", "hello"], /roles\/run.invoker/)
  yield step("delete a job", ["delete", "hello"], /Deleted job/)
}

/** As somebody who keeps jobs in files. */
async function replaceJob(jobs: (...args: string[]) => ReturnType<typeof run>, folder: string) {
  const { output } = await jobs("describe", "hello", "--format=export")
  await writeFile(join(folder, "job.yaml"), output.replace("maxRetries: 1", "maxRetries: 2"))
  return jobs("replace", "job.yaml")
}
