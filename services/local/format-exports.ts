/** Lines that a shell reads back as they are, whatever is in them. */
export function formatExports(env: Record<string, string>): string[] {
  return Object.entries(env).map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`)
}
