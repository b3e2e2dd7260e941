// What --help says after the options.

export const generalHelp = `
Exit codes:
  0    done; with --wait: the verdict is complete
  1    it did not work; with --wait: the verdict is incomplete, the request was rejected, or the time is over
  2    the command line cannot be understood
  130  interrupted; a run that was asked for goes on

Environment (npm run local prints it for a local cloud):
  GOOGLE_CLOUD_PROJECT    start, rerun, audit: the project of the topics
  SHOP_FILE               shop, diff, forget, and where amounts are printed: the declaration of the shop's tables
  DATABASE_URL            status, diff, shop check, retention, forget, --wait: mysql://user:password@host:port/database
  BUCKET                  status, retention, forget, --wait: the bucket of plans, manifests and verdicts
  PUBSUB_EMULATOR_HOST    host:port of a local Pub/Sub, instead of Google's
  STORAGE_EMULATOR_HOST   http://host:port of a local Cloud Storage, instead of Google's
  LOCAL_FOLDER            the data folder of a local cloud, to say where its files are

With --json, standard output holds one JSON document and nothing else: 64-bit numbers are strings, times are RFC 3339
in UTC, and an error is {"error": "…"}. Progress and errors go to standard error.

Examples:
  npm run daybook -- start yesterday --wait
  npm run daybook -- status 2026-11-22
  npm run daybook -- rerun 2026-11-22 --shards 3,7 --wait`

export const startHelp = `
Examples:
  npm run daybook -- start 2026-11-22
  npm run daybook -- start yesterday --wait --timeout 600
  npm run daybook -- start 2026-11-22 --wait --json`

export const backfillHelp = `
The dates are those that it finds when it is asked for, and stay so. One that fails does not stop the others. The daily run
goes before all of them; "status" shows how far it is, and "cancel" gives it up.

Examples:
  npm run daybook -- backfill 2026-01-01..2026-01-31 --dry-run
  npm run daybook -- backfill 2026-01-01..2026-01-31 --wait
  npm run daybook -- backfill 2026-01-01..2026-01-31 --which all --note "new exchange rates"`

export const pauseHelp = `
It holds whatever is restarted meanwhile; "status" says since when, by whom, and how many tasks still have a shard. Requests
are taken, and their runs wait.

Examples:
  npm run daybook -- pause --until 2026-11-22T18:00:00Z --note "the sale"
  npm run daybook -- resume`

export const cancelHelp = `
Nothing is written under the run's version any more, its execution is cancelled, and readers see what they saw. A run that
is being verified, or has its verdict, is not cancelled: the request is rejected.

Examples:
  npm run daybook -- cancel 2026-11-22 --note "the shop is being restored"
  npm run daybook -- status 2026-11-22`

export const statusHelp = `
Examples:
  npm run daybook -- status
  npm run daybook -- status --from 2026-01-01 --to 2026-01-31
  npm run daybook -- status --runs --limit 5
  npm run daybook -- status 2026-11-22 --watch
  npm run daybook -- status 2026-11-22-1234567890 --json`

export const auditHelp = `
Only what readers see is audited: dates without a complete verdict are passed over. Nothing is changed but what is known
of the days; a day of the last REPAIR_DAYS that has drifted is started anew by itself.

Examples:
  npm run daybook -- audit 2026-11-22 --wait
  npm run daybook -- audit 2026-11-01..2026-11-22`

export const diffHelp = `
Exits 0 whether or not anything differs. The rows of the newest KEEP_VERSIONS versions of a date are there.

Examples:
  npm run daybook -- diff 2026-11-22
  npm run daybook -- diff 2026-11-22 1 3
  npm run -s daybook -- diff 2026-11-22 --all | jq -r .userId`

export const shopHelp = `
SHOP_FILE is a file of YAML, the same for planner, tasks, finalizer and npm run migrate, that says what a purchase is:

  table: wp_wc_orders
  user:   {column: customer_id, guest: 0}           # 0, besides NULL, is a guest
  amount: {expression: total_amount, scale: 2}      # exact cents: an amount with more digits fails its user's shard
  time:   {column: date_created_gmt, kind: utc}     # utc, timestamp, local (in REVENUE_TIME_ZONE), epoch-seconds, epoch-ms
  counts: "status IN ('wc-processing','wc-completed') AND currency = 'EUR'"

and, where they are needed:

  userType: char(36) collate ascii_bin              # bigint if not said; bigint unsigned, varchar, binary, varbinary
  currency: currency                                # part of Revenue's key, so that no two are added
  measures: {tax: {expression: tax_amount, scale: 2}}
  sources: [{table: …}, {table: refunds, purchase: false, amount: {expression: "-amount", scale: 2}, …}]

schemas/database/README.md explains all of it, and test/shops has the declarations of twelve shops.

Examples:
  SHOP_FILE=shop.yaml npm run -s daybook -- shop ddl
  SHOP_FILE=shop.yaml npm run daybook -- shop check yesterday`

export const retentionHelp = `
Ledger rows and documents of runs decided more than RETENTION_DAYS ago (400; 0 keeps them for ever) are deleted, if their
Revenue rows are gone already. Never the run that readers see, the newest of a date, or the newest audit of a date. The
finalizer's sweep does the same by itself.

Examples:
  npm run daybook -- retention --dry-run
  RETENTION_DAYS=90 npm run daybook -- retention --dry-run --json`

export const forgetHelp = `
The shop's purchases of the user go first: while it still has any of a day that would lose rows, nothing is erased. Then the
user's rows of all versions go, and the entries about the user in verdicts, audits, changes and the ledger; sentences say
"a forgotten user", and a shard that began at the user begins at the next one. Who it was is not kept: the ledger knows how
many rows went of which version, and audits say so. What cannot be erased yet, such as a date whose run is at work, is
named, and the exit code is 1: ask again.

Examples:
  npm run daybook -- forget 4711 --dry-run
  npm run daybook -- forget 4711 --note "request 2026-118"`

export const rerunHelp = `
Examples:
  npm run daybook -- rerun 2026-11-22
  npm run daybook -- rerun 2026-11-22-1234567890 --shards 3,7 --wait`
