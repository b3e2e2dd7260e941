import { type Command, Option } from "commander"
import type { RunRequest } from "../send-request.ts"
import type { Terminal } from "../terminal.ts"
import { parseWhole } from "./arguments.ts"

/** What a command registers itself with. */
export interface CommandLine {
  program: Command
  terminal: Terminal
  /** Says with which code the process ends. */
  exit(code: number): void
}

/** Of a command that sends a request. */
export interface SendFlags {
  wait?: boolean
  timeout?: number
  json?: boolean
  note?: string
}

// setTimeout knows no longer time.
const TIMEOUT_SECONDS_MAX = 2_147_483

/** Sends what is typed, and says with which code that ends. */
export async function send(request: RunRequest, flags: SendFlags, command: Command, line: CommandLine): Promise<void> {
  const options = readSendFlags(flags, command)
  const { sendRequest } = await import("../send-request.ts")
  line.exit(await sendRequest(request, options, line.terminal))
}

export function readSendFlags({ wait = false, timeout, json = false, note }: SendFlags, command: Command) {
  if (timeout !== undefined && !wait) command.error("error: --timeout needs --wait")
  return { wait, timeoutSeconds: timeout, json, note }
}

export function jsonOption(): Option {
  return new Option("--json", "print one JSON document instead of text")
}

export function noteOption(): Option {
  return new Option("--note <text>", "why: kept with the run, in its verdict and in day-changes")
}

export function timeoutOption(): Option {
  return new Option("--timeout <seconds>", "with --wait: how long to wait at most; the run goes on").argParser((text) =>
    parseWhole(text, 1, TIMEOUT_SECONDS_MAX),
  )
}
