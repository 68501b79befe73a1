// Types of the language: what the checker computes, `type(x)` returns and error messages print.
// Called by everything in cel/; calls nothing. Ref: cel-go/common/types/types.go

import type { Declaration } from './declaration.ts'

type CelKind =
  | 'dyn'
  | 'error'
  | 'null'
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'duration'
  | 'timestamp'
  | 'list'
  | 'map'
  | 'type'
  | 'param'
  | 'struct'
  | 'opaque'

export class CelType {
  readonly kind: CelKind
  /** The name at run time: `google.protobuf.Duration`, `net.IP`, or a type parameter's own name. */
  readonly name: string
  readonly params: readonly CelType[]
  /** Set for structs that come from a schema. */
  readonly declaration: Declaration | undefined
  #text: string | undefined

  constructor(
    kind: CelKind,
    name: string,
    params: readonly CelType[] = [],
    declaration?: Declaration,
  ) {
    this.kind = kind
    this.name = name
    this.params = params
    this.declaration = declaration
  }

  /** As messages spell it: `list(string)`, `map(string, int)`, `optional_type(duration)`. */
  toString(): string {
    this.#text ??= this.#print()
    return this.#text
  }

  #print(): string {
    const alias = PRINTED_KINDS[this.kind]
    if (alias !== undefined) return alias
    if (this.params.length === 0) return this.name
    return `${this.name}(${this.params.join(', ')})`
  }
}

const PRINTED_KINDS: Partial<Record<CelKind, string>> = {
  duration: 'duration',
  timestamp: 'timestamp',
  null: 'null',
  error: '!error!',
}

export const DYN = new CelType('dyn', 'dyn')
/** Like dyn, and no range of a comprehension. */
export const ANY = new CelType('dyn', 'any')
export const ERROR = new CelType('error', '*error*')
export const NULL = new CelType('null', 'null_type')
export const BOOL = new CelType('bool', 'bool')
export const INT = new CelType('int', 'int')
export const UINT = new CelType('uint', 'uint')
export const DOUBLE = new CelType('double', 'double')
export const STRING = new CelType('string', 'string')
export const BYTES = new CelType('bytes', 'bytes')
export const DURATION = new CelType('duration', 'google.protobuf.Duration')
export const TIMESTAMP = new CelType('timestamp', 'google.protobuf.Timestamp')
export const TYPE = new CelType('type', 'type')
export const LIST = new CelType('list', 'list')
export const MAP = new CelType('map', 'map')
export const OPTIONAL = new CelType('opaque', 'optional_type')
export const URL = new CelType('struct', 'kubernetes.URL')
export const QUANTITY = new CelType('struct', 'kubernetes.Quantity')
export const SEMVER = new CelType('struct', 'kubernetes.Semver')
export const NAMED_FORMAT = new CelType('struct', 'kubernetes.NamedFormat')
export const IP = new CelType('opaque', 'net.IP')
export const CIDR = new CelType('opaque', 'net.CIDR')

export function listOf(element: CelType): CelType {
  return new CelType('list', 'list', [element])
}

export function mapOf(key: CelType, value: CelType): CelType {
  return new CelType('map', 'map', [key, value])
}

export function optionalOf(value: CelType): CelType {
  return new CelType('opaque', 'optional_type', [value])
}

export function typeOfType(type: CelType): CelType {
  return new CelType('type', 'type', [type])
}

export function paramType(name: string): CelType {
  return new CelType('param', name)
}

/** Same type throughout, parameters included. */
export function isExactType(a: CelType, b: CelType): boolean {
  if (a === b) return true
  return (
    a.kind === b.kind &&
    a.name === b.name &&
    a.params.length === b.params.length &&
    a.params.every((param, i) => isExactType(param, b.params[i] as CelType))
  )
}

function isOptional(type: CelType): boolean {
  return type.kind === 'opaque' && type.name === 'optional_type'
}

/** The type inside optional_type(T), or undefined for any other. */
export function unwrapOptional(type: CelType): CelType | undefined {
  return isOptional(type) ? type.params[0] : undefined
}

/** Names an expression can use for types themselves: `type(x) == int`. */
export const TYPE_NAMES: ReadonlyMap<string, CelType> = new Map(
  [
    ...[BOOL, BYTES, DOUBLE, DURATION, INT, NULL, STRING, TIMESTAMP, TYPE, UINT],
    ...[IP, CIDR],
    ...[listOf(DYN), mapOf(DYN, DYN), optionalOf(DYN)],
  ].map(type => [type.name, type]),
)

const AUTHORIZATION_TYPES = ['Authorizer', 'PathCheck', 'GroupCheck', 'ResourceCheck', 'Decision']

const BY_SPELLING: ReadonlyMap<string, CelType> = new Map([
  ...TYPE_NAMES,
  ...[URL, QUANTITY, SEMVER, NAMED_FORMAT].map(type => [type.name, type] as const),
  ...AUTHORIZATION_TYPES.map(name => {
    const type = new CelType('struct', `kubernetes.authorization.${name}`)
    return [type.name, type] as const
  }),
  ['dyn', DYN],
  ['duration', DURATION],
  ['timestamp', TIMESTAMP],
  ['list', LIST],
  ['map', MAP],
])

/**
 * Reads a type as declarations spell it: `list(map(string, A))`; one capital letter is a type
 * parameter.
 */
export function readType(text: string): CelType {
  const open = text.indexOf('(')
  const name = open < 0 ? text : text.slice(0, open)
  if (/^[A-Z]$/.test(name)) return paramType(name)
  const known = BY_SPELLING.get(name)
  if (known === undefined) throw new TypeError(`unknown type ${text}`)
  if (open < 0) return known
  return new CelType(known.kind, known.name, splitTypes(text.slice(open + 1, -1)).map(readType))
}

/** Splits at commas outside parentheses. */
export function splitTypes(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (let i = 0; i <= text.length; i++) {
    const char = text[i] ?? ','
    if (char === '(') depth++
    else if (char === ')') depth--
    else if (char === ',' && depth === 0) {
      const part = text.slice(from, i).trim()
      if (part !== '') parts.push(part)
      from = i + 1
    }
  }
  return parts
}
