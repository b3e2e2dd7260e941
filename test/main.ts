import { Command, CommanderError } from "commander"
import { runOnEach, runVitest, type TestServers, testServersOption } from "./run-vitest.ts"

process.exitCode = await runCommand(process.argv.slice(2))

async function runCommand(args: string[]): Promise<number> {
  const command = new Command("test")
    .usage("[options] [words in the names of test files] [options of vitest]")
    .description("Runs the tests, on a database server that is started for them.")
    .exitOverride()
    .allowUnknownOption()
    .allowExcessArguments()
    .addOption(testServersOption())
    .addHelpText(
      "after",
      `
With DATABASE_URL set, and no --database, they run on that server, each file in a database of its own there.

Examples
  npm test                                on MariaDB or Oracle MySQL, whichever is found
  npm test -- --database both
  npm test -- --database mysql test/planner -t "no index"`,
    )
  try {
    command.parse(args, { from: "user" })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
  const { database } = command.opts<{ database?: TestServers }>()
  return runOnEach(database, (kind) => runVitest(new URL("vitest.config.ts", import.meta.url), command.args, kind))
}
