// What an expression may know about a schema: types, fields, and how large a value can get, all
// computed when first asked for. Called by the checker (fields) and cost.ts (sizes).
// Ref: apiserver/pkg/cel/common/schemas.go

import type { SchemaNode } from '../schema/node.ts'
import {
  BOOL,
  BYTES,
  CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  STRING,
  TIMESTAMP,
} from './cel-type.ts'
import { escapeFieldName, unescapeFieldName } from './field-name.ts'

/** The largest request body, which bounds everything without a bound of its own. */
const MAX_REQUEST_BYTES = 3 * 1024 * 1024

/** Bytes of the shortest JSON of a value. Ref: apiserver/pkg/cel/limits.go */
const MIN_BYTES = {
  string: 2,
  duration: 3,
  date: 12,
  dateTime: 21,
  bool: 4,
  number: 1,
  container: 2,
}
/** Length of the longest string of a format, quotes included. */
const MAX_FORMAT_LENGTH: Readonly<Record<string, number>> = {
  duration: 32,
  date: 12,
  'date-time': 32,
}

export interface Declaration {
  readonly type: CelType
  /** The largest size() a value can have; 0 for what has no size. */
  readonly maxElements: number
  /** Bytes of the shortest JSON a value can have. */
  readonly minBytes: number
  readonly element?: Declaration | undefined
  readonly key?: Declaration | undefined
  /** The field an identifier names. */
  field?(identifier: string): Declaration | undefined
}

/**
 * Declares a schema, or returns undefined when expressions can not see it: unknown fields are
 * preserved without a type, or the items of a list are like that. `name` becomes the type name of
 * objects.
 */
export function declareSchema(
  node: SchemaNode,
  name: string,
  resourceRoot: boolean,
): Declaration | undefined {
  if (node.intOrString === true) return intOrString(node)
  const schema = resourceRoot ? withTypeAndObjectMeta(node) : node
  switch (schema.type) {
    case 'array':
      return declareList(schema, name)
    case 'object':
      return schema.additionalProperties === undefined
        ? new ObjectDeclaration(schema, name)
        : declareMap(schema, schema.additionalProperties, name)
    case 'string':
      return declareString(schema)
    case 'boolean':
      return { type: BOOL, maxElements: 0, minBytes: MIN_BYTES.bool }
    case 'number':
      return { type: DOUBLE, maxElements: 0, minBytes: MIN_BYTES.number }
    case 'integer':
      return { type: INT, maxElements: 0, minBytes: MIN_BYTES.number }
    default:
      return undefined
  }
}

/**
 * The most often a value of this schema can occur in one request: the worst case number of times a
 * rule runs when it stands below an unbounded list or map. undefined when expressions can not see
 * the schema.
 */
export function schemaCardinality(node: SchemaNode, resourceRoot: boolean): number | undefined {
  const declaration = declareSchema(node, '', resourceRoot)
  return declaration && Math.floor(MAX_REQUEST_BYTES / (declaration.minBytes + 1))
}

function declareChild(node: SchemaNode, name: string): Declaration | undefined {
  return declareSchema(node, name, node.embeddedResource === true)
}

function declareList(schema: SchemaNode, name: string): Declaration | undefined {
  const element = schema.items && declareChild(schema.items, `${name}.@idx`)
  if (element === undefined) return undefined
  return {
    type: listOf(element.type),
    element,
    minBytes: MIN_BYTES.container,
    get maxElements() {
      const limit = schema.validation?.maxItems
      if (limit !== undefined) return Math.max(0, limit)
      return Math.floor((MAX_REQUEST_BYTES - 2) / (element.minBytes + 1))
    },
  }
}

function declareMap(schema: SchemaNode, values: SchemaNode, name: string): Declaration | undefined {
  const element = declareChild(values, `${name}.@elem`)
  if (element === undefined) return undefined
  return {
    type: mapOf(STRING, element.type),
    element,
    key: { type: STRING, maxElements: 0, minBytes: MIN_BYTES.string },
    minBytes: MIN_BYTES.container,
    get maxElements() {
      const limit = schema.validation?.maxProperties
      if (limit !== undefined) return Math.max(0, limit)
      // The shortest entry adds a two-character quoted key, a colon and a comma to its value.
      return Math.floor((MAX_REQUEST_BYTES - 2) / (element.minBytes + 6))
    },
  }
}

function intOrString(node: SchemaNode): Declaration {
  const limit = node.validation?.maxLength
  const maxElements = limit === undefined ? MAX_REQUEST_BYTES - 2 : Math.max(0, limit) * 4
  return { type: DYN, maxElements, minBytes: MIN_BYTES.number }
}

function declareString(node: SchemaNode): Declaration {
  const format = formatOf(node)
  const longest = MAX_FORMAT_LENGTH[format ?? ''] ?? MAX_REQUEST_BYTES - 2
  const limit = node.validation?.maxLength
  switch (format) {
    case 'byte': {
      const maxElements = limit === undefined ? longest : Math.max(0, limit)
      return { type: BYTES, maxElements, minBytes: MIN_BYTES.string }
    }
    case 'duration':
      return { type: DURATION, maxElements: longest, minBytes: MIN_BYTES.duration }
    case 'date':
      return { type: TIMESTAMP, maxElements: longest, minBytes: MIN_BYTES.date }
    case 'date-time':
      return { type: TIMESTAMP, maxElements: longest, minBytes: MIN_BYTES.dateTime }
  }
  return { type: STRING, maxElements: maxTextLength(node, longest), minBytes: MIN_BYTES.string }
}

function maxTextLength(node: SchemaNode, longest: number): number {
  const limit = node.validation?.maxLength
  // maxLength counts code points, sizes here are bytes, and a code point can take four.
  if (limit !== undefined) return Math.max(0, limit) * 4
  const values = node.validation?.enum ?? []
  if (values.length === 0) return longest
  const lengths = values.map(value => (typeof value === 'string' ? Buffer.byteLength(value) : 0))
  return Math.max(...lengths)
}

/** The format of a string node; structural schemas keep it with the value validations. */
export function formatOf(node: SchemaNode): string | undefined {
  return node.format ?? node.validation?.format
}

const minBytesOf = new WeakMap<SchemaNode, number>()

/** An object with named fields; one that preserves unknown fields shows only the named ones. */
class ObjectDeclaration implements Declaration {
  readonly type: CelType
  readonly maxElements = 0
  readonly #schema: SchemaNode
  readonly #name: string
  readonly #fields = new Map<string, Declaration | undefined>()

  constructor(schema: SchemaNode, name: string) {
    this.#schema = schema
    this.#name = name
    this.type = new CelType('struct', name, [], this)
  }

  get minBytes(): number {
    const known = minBytesOf.get(this.#schema)
    if (known !== undefined) return known
    // A schema that requires itself has no finite value; this ends the recursion.
    minBytesOf.set(this.#schema, MIN_BYTES.container)
    const bytes = this.#requiredBytes()
    minBytesOf.set(this.#schema, bytes)
    return bytes
  }

  field(identifier: string): Declaration | undefined {
    if (!this.#fields.has(identifier)) this.#fields.set(identifier, this.#declare(identifier))
    return this.#fields.get(identifier)
  }

  #declare(identifier: string): Declaration | undefined {
    const property = unescapeFieldName(identifier)
    if (property === undefined || escapeFieldName(property) !== identifier) return undefined
    const node = this.#schema.properties?.get(property)
    return node && declareChild(node, `${this.#name}.${identifier}`)
  }

  /** Required properties without a default; defaults are filled in by the server. */
  #requiredBytes(): number {
    let bytes = MIN_BYTES.container
    for (const name of requiredOf(this.#schema)) {
      const node = this.#schema.properties?.get(name)
      if (node === undefined || (node.default !== undefined && node.default !== null)) continue
      const declared = declareChild(node, '')
      if (declared !== undefined) bytes += Buffer.byteLength(name) + declared.minBytes + 4
    }
    return bytes
  }
}

function requiredOf(node: SchemaNode): ReadonlySet<string> {
  return new Set([...(node.required ?? []), ...(node.validation?.required ?? [])])
}

const TEXT: SchemaNode = { type: 'string' }
const withMeta = new WeakMap<SchemaNode, SchemaNode>()

/** The schema with apiVersion, kind, metadata.name and metadata.generateName declared. */
export function withTypeAndObjectMeta(node: SchemaNode): SchemaNode {
  const metadata = node.properties?.get('metadata')
  const complete =
    node.properties?.get('kind')?.type === 'string' &&
    node.properties?.get('apiVersion')?.type === 'string' &&
    metadata?.type === 'object' &&
    metadata.properties?.get('name')?.type === 'string' &&
    metadata.properties?.get('generateName')?.type === 'string'
  if (complete) return node
  const known = withMeta.get(node)
  if (known !== undefined) return known
  const properties = new Map(node.properties)
  properties.set('kind', TEXT)
  properties.set('apiVersion', TEXT)
  properties.set('metadata', {
    type: 'object',
    properties: new Map([
      ['name', TEXT],
      ['generateName', TEXT],
    ]),
  })
  const extended: SchemaNode = { ...node, properties }
  withMeta.set(node, extended)
  return extended
}
