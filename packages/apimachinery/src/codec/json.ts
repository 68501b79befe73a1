// JSON bytes to values and back, with the tolerance and the error texts of the decoder Kubernetes uses.
// Called by decode-object.ts, yaml.ts, patch bodies and storage. The fast path is JSON.parse; see json-scanner.ts.
// Ref: sigs.k8s.io/json json.go

import { isUtf8 } from 'node:buffer'
import { parseExact } from '../int64.ts'
import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { DecodeError, quoteGo } from './decode-error.ts'
import { type Findings, formatPath, NO_FINDINGS, scanJson } from './json-scanner.ts'

/**
 * How deep objects and arrays may nest. Upstream stops at 10,000; here the walkers of schemas, patches and CEL recurse,
 * and a thousand levels of their largest frames fill about half of the default stack. No API object comes near.
 */
export const NESTING_MAX = 1_000

/** Every level of valid nesting takes two bytes, so a shorter text cannot exceed the limit. */
const SHALLOW_BYTES = NESTING_MAX * 2
const LONE_SURROGATE_ESCAPE = /\\u[dD][89abAB][0-9a-fA-F]{2}|\\u[dD][c-fC-F][0-9a-fA-F]{2}/
/** Whether text may hold a number that Findings tells of. */
const UNUSUAL_NUMBER = /(?:^|[:[,])\s*-?[0-9]+(?:[.eE]|[0-9]{18})/

export interface ParsedJson extends Findings {
  readonly value: JsonValue
}

/**
 * Parses JSON. Invalid UTF-8 and lone surrogates become U+FFFD; the last of duplicate keys wins. Every int64 is exact.
 * Throws DecodeError with Go's text on a syntax error, trailing data, nesting over NESTING_MAX, or a number too large.
 */
export function parseJson(bytes: Uint8Array | string): JsonValue {
  const { value, buffer } = parse(bytes)
  if (!isFiniteJson(value)) refuseTooLarge(scanJson(buffer, NESTING_MAX))
  return value
}

/** Throws DecodeError for a number that no float64 holds, unless the text has none. */
export function refuseTooLarge({ tooLarge }: Pick<Findings, 'tooLarge'>, into = 'Go value'): void {
  if (tooLarge === undefined) return
  throw new DecodeError(`json: cannot unmarshal number ${tooLarge} into ${into} of type float64`)
}

/** False when a number somewhere in the value was too large for a float64. */
export function isFiniteJson(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.values(value).every(item => item === undefined || isFiniteJson(item))
}

/**
 * As parseJson, and reports what decoding must know besides: duplicate keys (only when asked for, as it costs a
 * second reading) and how unusual numbers were written. One that is too large becomes an infinity: it depends on where
 * it is whether and how it is refused.
 */
export function parseJsonStrict(
  bytes: Uint8Array | string,
  options: { duplicates: boolean },
): ParsedJson {
  const { value, text, buffer } = parse(bytes)
  const isScanned = options.duplicates || UNUSUAL_NUMBER.test(text)
  const findings = isScanned ? scanJson(buffer, NESTING_MAX) : NO_FINDINGS
  return { value, ...findings, duplicates: options.duplicates ? findings.duplicates : [] }
}

/** What strict decoding says of keys that occur more than once: `duplicate field "spec.a"`. */
export function duplicateFieldTexts({ duplicates }: Pick<Findings, 'duplicates'>): string[] {
  return duplicates.map(path => `duplicate field ${quoteGo(formatPath(path))}`)
}

function parse(bytes: Uint8Array | string): { value: JsonValue; text: string; buffer: Buffer } {
  const buffer =
    typeof bytes === 'string'
      ? Buffer.from(bytes)
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = isUtf8(buffer) ? buffer.toString() : decodeLossy(buffer)
  let value: JsonValue
  try {
    value = parseExact(text)
  } catch (cause) {
    scanJson(buffer, NESTING_MAX)
    throw cause // Only when the two readings disagree, which is a bug.
  }
  if (buffer.length >= SHALLOW_BYTES && nestsTooDeep(buffer)) scanJson(buffer, NESTING_MAX)
  return { value: LONE_SURROGATE_ESCAPE.test(text) ? wellFormed(value) : value, text, buffer }
}

/** Counts brackets outside strings; the text is known to be valid JSON. */
function nestsTooDeep(buffer: Buffer): boolean {
  let depth = 0
  for (let i = 0; i < buffer.length; i++) {
    const byte = buffer[i]!
    if (byte === 0x22) {
      i = endOfString(buffer, i + 1)
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > NESTING_MAX) return true
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--
    }
  }
  return false
}

function endOfString(buffer: Buffer, start: number): number {
  let i = start
  while (buffer[i] !== 0x22) i += buffer[i] === 0x5c ? 2 : 1
  return i
}

/** Go replaces each byte that starts no valid sequence; WHATWG decoders replace longest prefixes. */
function decodeLossy(buffer: Buffer): string {
  const replacement = '\ufffd'
  let out = ''
  let clean = 0
  for (let i = 0; i < buffer.length; ) {
    const width = sequenceWidth(buffer[i]!)
    if (width > 0 && isUtf8(buffer.subarray(i, i + width)) && i + width <= buffer.length) {
      i += width
      continue
    }
    out += buffer.toString('utf8', clean, i) + replacement
    clean = ++i
  }
  return out + buffer.toString('utf8', clean)
}

function sequenceWidth(lead: number): number {
  if (lead < 0x80) return 1
  if (lead >= 0xc2 && lead < 0xe0) return 2
  if (lead >= 0xe0 && lead < 0xf0) return 3
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0
}

function wellFormed(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(wellFormed)
  if (!isObject(value)) return value
  const out: JsonObject = {}
  for (const key of Object.keys(value)) {
    setOwn(out, key.toWellFormed(), wellFormed(value[key] as JsonValue))
  }
  return out
}

/** Encodes an object with apiVersion, kind and metadata first, on one line. */
export function encodeJson(obj: JsonObject): string {
  return JSON.stringify(inWireOrder(obj))
}

/** The same object, or a shallow copy whose keys begin apiVersion, kind, metadata. */
export function inWireOrder(obj: JsonObject): JsonObject {
  const lead = ['apiVersion', 'kind', 'metadata'].filter(key => obj[key] !== undefined)
  const keys = Object.keys(obj)
  if (lead.every((key, i) => keys[i] === key)) return obj
  const out: JsonObject = {}
  for (const key of lead) out[key] = obj[key]
  for (const key of keys) if (!lead.includes(key)) setOwn(out, key, obj[key])
  return out
}
