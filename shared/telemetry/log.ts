import { type DestinationStream, type Logger, pino } from "pino"
import { describeScope } from "./tracing.ts"

export type Log = Logger

// https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
const severities: Record<string, string> = {
  trace: "DEBUG",
  debug: "DEBUG",
  info: "INFO",
  warn: "WARNING",
  error: "ERROR",
  fatal: "CRITICAL",
}

/**
 * JSON lines that Cloud Logging understands (severity, message, time), or readable lines where the output is a
 * terminal. Messages are constant; data goes into fields, those of what is being done among them. The project is that
 * of the traces.
 */
export async function createLog(service: string, level: string, project?: string): Promise<Log> {
  return pino(
    {
      level,
      base: { service },
      mixin: () => describeScope(project),
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ severity: severities[label] ?? "DEFAULT" }) },
    },
    (process.stdout.isTTY ? await openTerminal() : undefined) ?? pino.destination({ fd: 1, sync: true }),
  )
}

// Dots in a name are escaped: without, they would be those of a path.
const unreadable = [
  "service",
  "time",
  ...["trace", "spanId", "trace_sampled"].map((name) => `logging\\.googleapis\\.com/${name}`),
]

/** pino-pretty is there in a development checkout and not in the image. */
async function openTerminal(): Promise<DestinationStream | undefined> {
  try {
    const { default: pretty } = await import("pino-pretty")
    return pretty({ messageKey: "message", levelKey: "severity", ignore: unreadable.join(), sync: true })
  } catch {
    return undefined
  }
}
