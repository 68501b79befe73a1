// SchemaNodes as ownership reads them: what is a scalar, list or map, and what is owned as a whole.
// Called by the walkers; reads schema/node.ts. Made on first use and cached per node.
// Ref: kube-openapi/pkg/schemaconv/openapi.go, structured-merge-diff/schema/elements.go

import type { JsonValue } from '../json.ts'
import type { SchemaNode } from '../schema/node.ts'

export const SCALAR = 1
export const LIST = 2
export const MAP = 4

export type ScalarKind = 'numeric' | 'string' | 'boolean' | 'untyped'

export interface ListDef {
  readonly atomic: boolean
  /** The key fields of a list map, empty for a set. */
  readonly keys: readonly string[]
  readonly element: TypeDef
}

export interface MapDef {
  readonly atomic: boolean
  readonly fields: ReadonlyMap<string, FieldDef>
  /** The type of keys that are no field; undefined where there may be none. */
  readonly element: TypeDef | undefined
  /** Nothing is known about the content, so ownership adapts to what is there. */
  readonly deduced: boolean
}

/** A type: the kinds of value it takes, as a mask, and what each kind means. */
export interface TypeDef {
  readonly kinds: number
  readonly scalar: ScalarKind
  readonly list: ListDef
  readonly map: MapDef
}

/** A named field. Its type is made on first use, as schemas may contain themselves. */
export class FieldDef {
  readonly default: JsonValue | undefined
  /** What an absent field of a Go struct is written as; undefined when it is left out. */
  readonly zero: JsonValue | undefined
  readonly #make: () => TypeDef
  #type: TypeDef | undefined

  constructor(make: () => TypeDef, zero?: JsonValue, defaultValue?: JsonValue) {
    this.#make = make
    this.zero = zero
    this.default = defaultValue
  }

  get type(): TypeDef {
    this.#type ??= this.#make()
    return this.#type
  }
}

const NO_FIELDS: ReadonlyMap<string, FieldDef> = new Map()

/** A type that may contain itself has getters for its parts. */
class LazyType implements TypeDef {
  readonly kinds: number
  readonly scalar: ScalarKind
  readonly #makeList: () => ListDef
  readonly #makeMap: () => MapDef
  #list: ListDef | undefined
  #map: MapDef | undefined

  constructor(
    kinds: number,
    scalar: ScalarKind,
    parts: { list: () => ListDef; map: () => MapDef },
  ) {
    this.kinds = kinds
    this.scalar = scalar
    this.#makeList = parts.list
    this.#makeMap = parts.map
  }

  get list(): ListDef {
    this.#list ??= this.#makeList()
    return this.#list
  }

  get map(): MapDef {
    this.#map ??= this.#makeMap()
    return this.#map
  }
}

/** A value owned as a whole, whatever it is. */
export const UNTYPED_ATOMIC: TypeDef = new LazyType(SCALAR | LIST | MAP, 'untyped', {
  list: () => ({ atomic: true, keys: [], element: UNTYPED_ATOMIC }),
  map: () => ({ atomic: true, fields: NO_FIELDS, element: UNTYPED_ATOMIC, deduced: false }),
})

/** A value without a schema: maps are owned key by key, lists as a whole. */
export const DEDUCED: TypeDef = new LazyType(SCALAR | LIST | MAP, 'untyped', {
  list: () => ({ atomic: true, keys: [], element: UNTYPED_ATOMIC }),
  map: () => ({ atomic: false, fields: NO_FIELDS, element: DEDUCED, deduced: true }),
})

const scalar = (kind: ScalarKind): TypeDef =>
  new LazyType(SCALAR, kind, { list: () => DEDUCED.list, map: () => DEDUCED.map })
const SCALARS: Record<ScalarKind, TypeDef> = {
  numeric: scalar('numeric'),
  string: scalar('string'),
  boolean: scalar('boolean'),
  untyped: scalar('untyped'),
}

/** A Go type whose OpenAPI definition upstream overrides. */
const BY_GO_TYPE: ReadonlyMap<string, TypeDef> = new Map([
  ['resource.Quantity', SCALARS.untyped],
  ['intstr.IntOrString', SCALARS.untyped],
  ['runtime.RawExtension', UNTYPED_ATOMIC],
])

const roots = new WeakMap<SchemaNode, TypeDef>()
const granular = new WeakMap<SchemaNode, TypeDef>()
const preserving = new WeakMap<SchemaNode, TypeDef>()

/**
 * The type of whole objects of a schema. Objects without a schema are owned as what they look like.
 * The metadata of custom resources is always ObjectMeta, whatever their schema says about it.
 */
export function rootTypeOf(schema: SchemaNode | undefined): TypeDef {
  if (schema === undefined) return DEDUCED
  let type = roots.get(schema)
  if (type === undefined) {
    type = withObjectFields(schema, false)
    roots.set(schema, type)
  }
  return type
}

/** The type of a node. `preserve` is set below a node that keeps unknown fields. */
export function typeOf(node: SchemaNode, preserve: boolean): TypeDef {
  const cache = preserve ? preserving : granular
  let type = cache.get(node)
  if (type === undefined) {
    type = node.embeddedResource ? withObjectFields(node, preserve) : makeType(node, preserve)
    cache.set(node, type)
  }
  return type
}

function makeType(node: SchemaNode, inherited: boolean): TypeDef {
  const override = BY_GO_TYPE.get((node.goType ?? '').replace(/^\*/, ''))
  if (override !== undefined) return override
  const preserve = inherited || node.preserveUnknownFields === true
  const parts = { list: () => listDef(node, preserve), map: () => mapDef(node, preserve) }
  switch (node.type) {
    case undefined:
      return new LazyType(SCALAR | LIST | MAP, 'untyped', parts)
    case 'object':
      return new LazyType(MAP, 'untyped', parts)
    case 'array':
      return new LazyType(LIST, 'untyped', parts)
    case 'string': {
      const format = node.format ?? node.validation?.format ?? ''
      return format === '' || format === 'byte' ? SCALARS.string : SCALARS.untyped
    }
    case 'boolean':
      return SCALARS.boolean
    default:
      return SCALARS.numeric
  }
}

function listDef(node: SchemaNode, preserve: boolean): ListDef {
  return {
    ...itemIdentity(node),
    element: node.items === undefined ? UNTYPED_ATOMIC : typeOf(node.items, preserve),
  }
}

/**
 * The list type says it; a list without one is what strategic merge takes it for, and else owned as
 * a whole.
 */
function itemIdentity(node: SchemaNode): Pick<ListDef, 'atomic' | 'keys'> {
  const { listType, listMapKeys = [], patchStrategy, patchMergeKey } = node
  if (listType === undefined) {
    const keys = patchMergeKey === undefined ? [] : [patchMergeKey]
    return { atomic: patchStrategy?.includes('merge') !== true, keys }
  }
  return { atomic: listType === 'atomic', keys: listType === 'map' ? listMapKeys : [] }
}

function mapDef(node: SchemaNode, preserve: boolean): MapDef {
  const fields = new Map<string, FieldDef>()
  for (const [name, child] of node.properties ?? []) {
    fields.set(name, new FieldDef(() => typeOf(child, preserve), zeroOf(child), child.default))
  }
  const deduced = node.additionalProperties === undefined && (preserve || fields.size === 0)
  return {
    atomic: node.mapType === 'atomic',
    fields,
    element: deduced
      ? DEDUCED
      : node.additionalProperties && typeOf(node.additionalProperties, preserve),
    deduced: deduced && fields.size === 0,
  }
}

/** Fields a Go struct writes even when they are empty are never new nor gone. */
function zeroOf(node: SchemaNode): JsonValue | undefined {
  if (node.presence !== 'always') return undefined
  if (node.nullable) return null
  switch (node.type) {
    case 'object':
      return (node.properties?.size ?? 0) > 0 ? {} : null
    case 'array':
      return null
    case 'string':
      return node.format === 'duration' ? '0s' : ''
    case 'boolean':
      return false
    case undefined:
      return node.format === 'quantity' ? '0' : node.intOrString ? 0 : null
    default:
      return 0
  }
}

function withObjectFields(node: SchemaNode, inherited: boolean): TypeDef {
  const declared = makeType(node, inherited)
  const known = node.properties?.get('metadata')?.properties?.has('managedFields') === true
  if (known || (declared.kinds & MAP) === 0) return declared
  const string = new FieldDef(() => SCALARS.string)
  return new LazyType(declared.kinds, declared.scalar, {
    list: () => declared.list,
    map: () => ({
      ...declared.map,
      deduced: false,
      fields: new Map([
        ...declared.map.fields,
        ['apiVersion', string],
        ['kind', string],
        ['metadata', new FieldDef(() => OBJECT_META)],
      ]),
    }),
  })
}

const text: SchemaNode = { type: 'string' }
const time: SchemaNode = { type: 'string', format: 'date-time' }
const integer: SchemaNode = { type: 'integer' }
const texts: SchemaNode = { type: 'object', additionalProperties: text }

const OWNER_REFERENCE: SchemaNode = {
  type: 'object',
  mapType: 'atomic',
  properties: new Map([
    ['apiVersion', text],
    ['kind', text],
    ['name', text],
    ['uid', text],
    ['controller', { type: 'boolean' }],
    ['blockOwnerDeletion', { type: 'boolean' }],
  ]),
}

const MANAGED_FIELDS_ENTRY: SchemaNode = {
  type: 'object',
  properties: new Map<string, SchemaNode>([
    ['manager', text],
    ['operation', text],
    ['apiVersion', text],
    ['time', time],
    ['fieldsType', text],
    ['fieldsV1', { type: 'object' }],
    ['subresource', text],
  ]),
}

/** Ref: apimachinery/pkg/apis/meta/v1/types.go ObjectMeta */
const OBJECT_META: TypeDef = typeOf(
  {
    type: 'object',
    properties: new Map<string, SchemaNode>([
      ['annotations', texts],
      ['creationTimestamp', time],
      ['deletionGracePeriodSeconds', integer],
      ['deletionTimestamp', time],
      ['finalizers', { type: 'array', listType: 'set', items: text }],
      ['generateName', text],
      ['generation', integer],
      ['labels', texts],
      ['managedFields', { type: 'array', items: MANAGED_FIELDS_ENTRY }],
      ['name', text],
      ['namespace', text],
      [
        'ownerReferences',
        { type: 'array', listType: 'map', listMapKeys: ['uid'], items: OWNER_REFERENCE },
      ],
      ['resourceVersion', text],
      ['selfLink', text],
      ['uid', text],
    ]),
  },
  false,
)
