import { requestFields } from "../../../shared/messages/person-requests.ts"
import { parseField } from "./arguments.ts"
import { type CommandLine, jsonOption } from "./command-line.ts"

export function addShop(line: CommandLine): void {
  const shop = line.program
    .command("shop")
    .description("look at the shop's table, as SHOP_FILE declares it")
    .addHelpText("after", shopHelp)
  shop
    .command("ddl")
    .description("print the index that a big table needs on its time, for MySQL and MariaDB alike")
    .option("--day-slice", "print the columns and the index of the day instead, which pay for very big days")
    .addOption(jsonOption())
    .action(async ({ json = false, daySlice = false }: { json?: boolean; daySlice?: boolean }) => {
      const { printShopDdl } = await import("../inspect-shop.ts")
      line.exit(printShopDdl({ json, daySlice }, line.terminal))
    })
  shop
    .command("check")
    .description("say what is missing or differs, and what a day's purchases add up to, before any run")
    .argument("<date>", "YYYY-MM-DD, or yesterday, in REVENUE_TIME_ZONE", parseField(requestFields.dateOrYesterday))
    .addOption(jsonOption())
    .action(async (date: string, { json = false }: { json?: boolean }) => {
      const { checkShop } = await import("../inspect-shop.ts")
      line.exit(await checkShop(date, json, line.terminal))
    })
}

const shopHelp = `
SHOP_FILE is a file of YAML, the same for planner, tasks, finalizer and npm run migrate, that says what a purchase is:

  table: wp_wc_orders
  user:   {column: customer_id, guest: 0}           # 0, besides NULL, is a guest
  amount: {expression: total_amount, scale: 2}      # exact cents: an amount with more digits fails its user's shard
  time:   {column: date_created_gmt, kind: utc}     # utc, timestamp, local (in REVENUE_TIME_ZONE), epoch-seconds, epoch-ms, date
  counts: "status IN ('wc-processing','wc-completed') AND currency = 'EUR'"

and, where they are needed:

  userType: char(36) collate ascii_bin              # bigint if not said; bigint unsigned, varchar, binary, varbinary
  currency: currency                                # part of Revenue's key, so that no two are added
  measures: {tax: {expression: tax_amount, scale: 2}}
  sources: [{table: …}, {table: refunds, purchase: false, amount: {expression: "-amount", scale: 2}, …}]

schemas/database/README.md explains all of it, and test/shops has the declarations of twelve shops.

Examples:
  SHOP_FILE=shop.yaml npm run -s daybook -- shop ddl
  SHOP_FILE=shop.yaml npm run -s daybook -- shop ddl --day-slice
  SHOP_FILE=shop.yaml npm run daybook -- shop check yesterday`
