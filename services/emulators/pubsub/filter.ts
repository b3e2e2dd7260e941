import { refuse } from "./refusals.ts"

// The language of https://cloud.google.com/pubsub/docs/subscription-message-filter.

/** A filter of a subscription. Keys and values are compared exactly. */
export type Filter = Comparison | { op: "not"; of: Filter } | { op: "and"; of: Filter[] } | { op: "or"; of: Filter[] }

type Comparison = { op: "has"; key: string } | { op: "equals" | "differs" | "prefix"; key: string; value: string }

const FILTER_BYTES_MAX = 256

/** Whether a message with these attributes passes. A key that is absent passes none but NOT: `!=` asks for the key. */
export function matchesFilter(filter: Filter, attributes: Readonly<Record<string, string>>): boolean {
  if (filter.op === "not") return !matchesFilter(filter.of, attributes)
  if (filter.op === "and") return filter.of.every((part) => matchesFilter(part, attributes))
  if (filter.op === "or") return filter.of.some((part) => matchesFilter(part, attributes))
  const value = Object.hasOwn(attributes, filter.key) ? attributes[filter.key] : undefined
  return value !== undefined && matchesValue(filter, value)
}

function matchesValue(filter: Comparison, value: string): boolean {
  if (filter.op === "has") return true
  if (filter.op === "prefix") return value.startsWith(filter.value)
  return (value === filter.value) === (filter.op === "equals")
}

/** Parses a filter, or refuses it with INVALID_ARGUMENT and the reason. */
export function parseFilter(text: string): Filter {
  if (Buffer.byteLength(text) > FILTER_BYTES_MAX) {
    throw refuse(`The filter is longer than ${FILTER_BYTES_MAX} bytes.`)
  }
  const tokens = new Tokens(text)
  const filter = parseExpression(tokens)
  if (!tokens.done) throw tokens.unexpected("the end, AND or OR")
  return filter
}

function parseExpression(tokens: Tokens): Filter {
  const parts = [parseTerm(tokens)]
  let op: "and" | "or" | undefined
  for (;;) {
    const next = tokens.takeWord("AND") ? "and" : tokens.takeWord("OR") ? "or" : undefined
    if (!next) break
    if (op && op !== next) throw refuse(`Invalid filter: AND and OR need parentheses to be combined: ${tokens.text}`)
    op = next
    parts.push(parseTerm(tokens))
  }
  const [only] = parts
  return op || !only ? { op: op ?? "and", of: parts } : only
}

function parseTerm(tokens: Tokens): Filter {
  if (tokens.takeWord("NOT") || tokens.take("-")) return { op: "not", of: parseTerm(tokens) }
  if (tokens.take("(")) {
    const inner = parseExpression(tokens)
    tokens.expect(")")
    return inner
  }
  if (tokens.takeWord("hasPrefix")) {
    tokens.expect("(")
    tokens.expectWord("attributes")
    tokens.expect(".")
    const key = tokens.expectKey()
    tokens.expect(",")
    const value = tokens.expectString()
    tokens.expect(")")
    return { op: "prefix", key, value }
  }
  tokens.expectWord("attributes")
  if (tokens.take(":")) return { op: "has", key: tokens.expectKey() }
  tokens.expect(".")
  const key = tokens.expectKey()
  if (tokens.take("!=")) return { op: "differs", key, value: tokens.expectString() }
  tokens.expect("=")
  return { op: "equals", key, value: tokens.expectString() }
}

type Token = { kind: "word" | "string" | "sign"; text: string; at: number }

// A key needs quotes unless it is made of letters, digits, hyphens and underscores.
const TOKEN = /\s*(?:(?<word>[A-Za-z0-9_][A-Za-z0-9_-]*)|"(?<string>(?:[^"\\\n]|\\.)*)"|(?<sign>!=|[-=:.,()]))/y

class Tokens {
  readonly text: string
  readonly #tokens: Token[] = []
  #next = 0

  constructor(text: string) {
    this.text = text
    const end = text.trimEnd().length
    const pattern = new RegExp(TOKEN)
    while (pattern.lastIndex < end) {
      const at = pattern.lastIndex
      const groups = pattern.exec(text)?.groups
      if (groups?.word !== undefined) this.#tokens.push({ kind: "word", text: groups.word, at })
      else if (groups?.string !== undefined) this.#tokens.push({ kind: "string", text: unescape(groups.string), at })
      else if (groups?.sign !== undefined) this.#tokens.push({ kind: "sign", text: groups.sign, at })
      else throw refuse(`Invalid filter: nothing of the filter language begins at character ${at + 1}: ${text}`)
    }
  }

  get done(): boolean {
    return this.#next === this.#tokens.length
  }

  take(sign: string): boolean {
    return this.#takeIf((token) => token.kind === "sign" && token.text === sign)
  }

  takeWord(word: string): boolean {
    return this.#takeIf((token) => token.kind === "word" && token.text === word)
  }

  expect(sign: string): void {
    if (!this.take(sign)) throw this.unexpected(`'${sign}'`)
  }

  expectWord(word: string): void {
    if (!this.takeWord(word)) throw this.unexpected(word)
  }

  expectKey(): string {
    const token = this.#tokens[this.#next]
    if (!token || token.kind === "sign") throw this.unexpected("an attribute's key")
    this.#next++
    return token.text
  }

  expectString(): string {
    const token = this.#tokens[this.#next]
    if (token?.kind !== "string") throw this.unexpected("a value in double quotes")
    this.#next++
    return token.text
  }

  unexpected(wanted: string): Error {
    const token = this.#tokens[this.#next]
    const place = token ? `at character ${token.at + 1}` : "at the end"
    return refuse(`Invalid filter: expected ${wanted} ${place}: ${this.text}`)
  }

  #takeIf(matches: (token: Token) => boolean): boolean {
    const token = this.#tokens[this.#next]
    if (!token || !matches(token)) return false
    this.#next++
    return true
  }
}

const ESCAPE =
  /\\(?:x(?<x>[0-9a-fA-F]{2})|u(?<u>[0-9a-fA-F]{4})|U(?<U>[0-9a-fA-F]{8})|(?<octal>[0-3][0-7]{2})|(?<sign>.))/gs

const SIGNS: Record<string, string> = { n: "\n", r: "\r", t: "\t", "\\": "\\", '"': '"', "'": "'" }

function unescape(literal: string): string {
  return literal.replaceAll(ESCAPE, (escape: string, ...rest: unknown[]) => {
    const groups = rest.at(-1) as Record<string, string | undefined>
    const hex = groups.x ?? groups.u ?? groups.U
    const code = hex ? Number.parseInt(hex, 16) : groups.octal ? Number.parseInt(groups.octal, 8) : undefined
    const text =
      code === undefined ? SIGNS[groups.sign ?? ""] : code <= 0x10ffff ? String.fromCodePoint(code) : undefined
    if (text === undefined) throw refuse(`Invalid filter: unknown escape ${escape} in a string.`)
    return text
  })
}
