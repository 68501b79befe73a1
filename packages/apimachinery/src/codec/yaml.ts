// YAML to JSON values as sigs.k8s.io/yaml does it, and back. js-yaml splits the text into events; what they mean is
// decided here, as Kubernetes reads YAML 1.1. Called by decode-object.ts, patch bodies and the writing of answers.
// Ref: sigs.k8s.io/yaml yaml.go, go.yaml.in/yaml/v2 decode.go

import {
  DUMP_SCHEMA,
  dump,
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  YAMLException,
} from 'js-yaml'
import { formatGoFloat } from '../go-float.ts'
import { isInt64Literal, jsonInteger } from '../int64.ts'
import { cloneJson, isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { DecodeError, quoteGo } from './decode-error.ts'
import { NESTING_MAX, type ParsedJson } from './json.ts'
import { NO_FINDINGS } from './json-scanner.ts'
import { keyText, type ScalarValue, scalarValue } from './yaml-scalar.ts'

export interface ParsedYaml extends ParsedJson {
  /** Duplicate keys in go-yaml's words, when strict reading found any. */
  readonly yamlError?: string
}

/**
 * Reads the first document of a YAML text. Throws DecodeError with go-yaml's text where that is known.
 * Duplicate keys: the last wins; strict reading reports them. Aliases that multiply a document are refused.
 */
export function parseYaml(bytes: Uint8Array | string, options: { strict: boolean }): ParsedYaml {
  const text = firstDocument(typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString())
  const composer = new Composer(text, events(text))
  const value = composer.document()
  const errors = options.strict ? composer.duplicates : []
  return {
    value,
    ...NO_FINDINGS,
    ...(errors.length === 0
      ? {}
      : { yamlError: `yaml: unmarshal errors:\n  ${errors.join('\n  ')}` }),
  }
}

const INTEGER_TAG = 'tag:yaml.org,2002:int'
const FLOAT_TAG = 'tag:yaml.org,2002:float'

/** go-yaml reads integers as far as 64 bits go, with or without a sign, and writes all other numbers as floats. */
function isYamlInteger(value: unknown): boolean {
  if (typeof value === 'bigint') return true
  return Number.isInteger(value) && Number(value) < 2 ** 64 && Number(value) > -(2 ** 63)
}

const GO_NUMBERS = DUMP_SCHEMA.withTags(
  ...DUMP_SCHEMA.tags.map(tag => {
    if (tag.nodeKind !== 'scalar') return tag
    if (tag.tagName === INTEGER_TAG) return { ...tag, identify: isYamlInteger, represent: String }
    if (tag.tagName !== FLOAT_TAG) return tag
    const identify = (value: unknown): boolean => typeof value === 'number' && !isYamlInteger(value)
    return { ...tag, identify, represent: formatGoFloat }
  }),
)

/** Writes YAML with sorted keys and lists at the level of their key, as kubectl's users know it. */
export function encodeYaml(value: JsonValue): string {
  return dump(value, {
    schema: GO_NUMBERS,
    sortKeys: true,
    seqNoIndent: true,
    lineWidth: -1,
    noRefs: true,
    quoteStyle: 'double',
    skipInvalid: true,
  })
}

/** Cuts at the marker that ends the first document; later ones are not read, so they may be anything. */
function firstDocument(text: string): string {
  let started = false
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const end = newline === -1 ? text.length : newline
    const line = text.slice(at, end)
    if (/^(?:---|\.\.\.)(?:\s|$)/.test(line)) {
      if (started) return text.slice(0, at)
      started = true
    } else if (!/^\s*(?:#|$)/.test(line) && !line.startsWith('%')) {
      started = true
    }
    at = end + 1
  }
  return text
}

/** go-yaml's words for what js-yaml refuses. */
const REASONS: readonly (readonly [string, string])[] = [
  ['bad indentation of a mapping entry', 'mapping values are not allowed in this context'],
  ['tab characters must not be used', 'found character that cannot start any token'],
  ['unknown escape sequence', 'found unknown escape character'],
  ['within a flow collection', "did not find expected ',' or ']'"],
  ['within a double quoted scalar', 'found unexpected end of stream'],
  ['within a single quoted scalar', 'found unexpected end of stream'],
  ['a document separator is expected', 'did not find expected <document start>'],
  ['null byte', 'control characters are not allowed'],
]

function events(text: string): Event[] {
  try {
    return parseEvents(text, { maxDepth: NESTING_MAX })
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const words = REASONS.find(([reason]) => error.reason.includes(reason))?.[1] ?? error.reason
    const line = error.mark === undefined ? '' : `line ${error.mark.line + 1}: `
    throw new DecodeError(`yaml: ${line}${words}`, { cause: error })
  }
}

/** Anchored nodes and how many nodes each stands for when an alias repeats it. */
interface Anchored {
  readonly value: JsonValue
  readonly nodes: number
}

const ALIAS_COUNT_FREE = 100
const NODE_COUNT_FREE = 1_000
const NODE_COUNT_LOW = 400_000
const NODE_COUNT_HIGH = 4_000_000

/** The share of nodes that may come from aliases: 99 % of a small document, falling to 10 % of a large one. */
function aliasRatioMax(nodes: number): number {
  if (nodes <= NODE_COUNT_LOW) return 0.99
  if (nodes >= NODE_COUNT_HIGH) return 0.1
  return 0.99 - 0.89 * ((nodes - NODE_COUNT_LOW) / (NODE_COUNT_HIGH - NODE_COUNT_LOW))
}

/** Builds values from events. Recursion is bounded by the parser's depth limit. */
class Composer {
  readonly duplicates: string[] = []
  private readonly anchors = new Map<string, Anchored | 'open'>()
  private at = 0
  private nodeCount = 0
  private aliasCount = 0
  private readonly text: string
  private readonly events: readonly Event[]

  constructor(text: string, events: readonly Event[]) {
    this.text = text
    this.events = events
  }

  document(): JsonValue {
    if (this.events[this.at]?.type !== EVENT_ID.DOCUMENT) return null
    this.at++
    return this.node()
  }

  private next(): Event {
    const event = this.events[this.at]
    if (event === undefined) throw new DecodeError('yaml: unexpected end of the document')
    this.at++
    return event
  }

  private atPop(): boolean {
    const isPop = this.events[this.at]?.type === EVENT_ID.POP
    if (isPop) this.at++
    return isPop
  }

  private node(): JsonValue {
    const event = this.next()
    if (event.type === EVENT_ID.ALIAS) return this.alias(event)
    this.nodeCount++
    if (event.type === EVENT_ID.SCALAR) {
      const value = json(this.scalar(event))
      return this.anchor(event, value, this.nodeCount - 1)
    }
    if (event.type !== EVENT_ID.SEQUENCE && event.type !== EVENT_ID.MAPPING) {
      throw new DecodeError('yaml: unexpected end of the document')
    }
    const before = this.nodeCount - 1
    const name = this.slice(event.anchorStart, event.anchorEnd)
    if (name !== '') this.anchors.set(name, 'open')
    const value = event.type === EVENT_ID.SEQUENCE ? this.sequence() : this.mapping()
    return this.anchor(event, value, before)
  }

  private anchor(
    event: { anchorStart: number; anchorEnd: number },
    value: JsonValue,
    before: number,
  ): JsonValue {
    const name = this.slice(event.anchorStart, event.anchorEnd)
    if (name !== '') this.anchors.set(name, { value, nodes: this.nodeCount - before })
    return value
  }

  private alias(event: { anchorStart: number; anchorEnd: number }): JsonValue {
    const name = this.slice(event.anchorStart, event.anchorEnd)
    const anchored = this.anchors.get(name)
    if (anchored === undefined) throw new DecodeError(`yaml: unknown anchor '${name}' referenced`)
    if (anchored === 'open') {
      throw new DecodeError(`yaml: anchor '${name}' value contains itself`)
    }
    this.nodeCount += anchored.nodes
    this.aliasCount += anchored.nodes
    const ratio = this.aliasCount / this.nodeCount
    const isFree = this.aliasCount <= ALIAS_COUNT_FREE || this.nodeCount <= NODE_COUNT_FREE
    if (!isFree && ratio > aliasRatioMax(this.nodeCount)) {
      throw new DecodeError('yaml: document contains excessive aliasing')
    }
    return cloneJson(anchored.value)
  }

  private sequence(): JsonValue[] {
    const items: JsonValue[] = []
    while (!this.atPop()) {
      items.push(this.node())
    }
    return items
  }

  private mapping(): JsonObject {
    const out: JsonObject = {}
    while (!this.atPop()) {
      const event = this.next()
      if (event.type !== EVENT_ID.SCALAR) throw new DecodeError('yaml: invalid map key')
      this.nodeCount++
      if (this.isMerge(event)) {
        this.merge(out, this.node())
        continue
      }
      const scalar = this.scalar(event)
      const key = keyText(scalar)
      if (Object.hasOwn(out, key)) this.addDuplicate(event.valueStart, scalar)
      setOwn(out, key, this.node())
    }
    return sortKeys(out)
  }

  private isMerge(event: Event & { type: typeof EVENT_ID.SCALAR }): boolean {
    return this.isPlain(event) && getScalarValue(this.text, event) === '<<'
  }

  private merge(out: JsonObject, value: JsonValue): void {
    // Earlier mappings of a list take precedence, so they are applied last.
    const parts = Array.isArray(value) ? value.toReversed() : [value]
    for (const part of parts) {
      if (!isObject(part)) {
        throw new DecodeError('yaml: map merge requires map or sequence of maps as the value')
      }
      for (const key of Object.keys(part)) setOwn(out, key, part[key])
    }
  }

  private addDuplicate(position: number, key: ScalarValue): void {
    const line = this.text.slice(0, Math.max(position, 0)).split('\n').length
    const shown = typeof key === 'string' ? quoteGo(key) : String(key)
    this.duplicates.push(`line ${line}: key ${shown} already set in map`)
  }

  private isPlain(event: Event & { type: typeof EVENT_ID.SCALAR }): boolean {
    return event.style === 1 && event.tagStart < 0
  }

  private scalar(event: Event & { type: typeof EVENT_ID.SCALAR }): ScalarValue {
    const tag = this.slice(event.tagStart, event.tagEnd)
    return scalarValue(getScalarValue(this.text, event), event.style !== 1, tag)
  }

  private slice(start: number, end: number): string {
    return start < 0 ? '' : this.text.slice(start, end)
  }
}

function json(value: ScalarValue): JsonValue {
  if (typeof value === 'bigint') return jsonInteger(value)
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  // Upstream it becomes JSON next, and a float without fraction is written as an integer there.
  const text = String(value)
  return isInt64Literal(text) ? jsonInteger(BigInt(text)) : value
}

/** YAML becomes JSON through a Go map, which has its keys in order: what is wrong first is found first. */
function sortKeys(object: JsonObject): JsonObject {
  const keys = Object.keys(object)
  if (keys.every((key, i) => i === 0 || keys[i - 1]! < key)) return object
  const sorted: JsonObject = {}
  for (const key of keys.sort()) setOwn(sorted, key, object[key])
  return sorted
}
