// The built-in kinds' Go structs as rows of fields.data.json, expanded one by one when asked for.
// Read by field-table.ts (schemas), builtin-openapi.ts and protobuf.ts. Written by scripts/generate-fields.
// NOTE: the file is read and parsed on first use only; what was expanded stays.

import { readFileSync } from 'node:fs'
import { assert } from '../assert.ts'
import { apiVersionOf, type GroupVersionKind, parseApiVersion } from '../gvk.ts'
import type { JsonValue } from '../json.ts'

export type ScalarBase = 'string' | 'bool' | 'int' | 'int32' | 'int64' | 'float64'

/** Types with a JSON and protobuf form of their own. */
export type SpecialName =
  | 'Time'
  | 'MicroTime'
  | 'Duration'
  | 'Quantity'
  | 'IntOrString'
  | 'RawExtension'
  | 'FieldsV1'
  | 'JSON'
  | 'JSONSchemaPropsOrArray'
  | 'JSONSchemaPropsOrBool'
  | 'JSONSchemaPropsOrStringArray'

/** A Go type. `goType` is what reflect prints: `v1.PodSpec`, `map[string]string`, `[]uint8`. */
export type Shape =
  | {
      readonly kind: 'scalar'
      readonly base: ScalarBase
      readonly goType: string
      readonly enum?: readonly string[]
    }
  | { readonly kind: 'bytes'; readonly goType: '[]uint8' }
  | { readonly kind: 'any'; readonly goType: 'interface {}' }
  | { readonly kind: 'special'; readonly name: SpecialName; readonly goType: string }
  | { readonly kind: 'struct'; readonly goType: string; readonly struct: StructInfo }
  | {
      readonly kind: 'list' | 'map'
      readonly goType: string
      readonly element: Shape
      /** A named slice that protobuf wraps in a message of its own, as ExtraValue. */
      readonly wrapped: boolean
    }

export interface FieldInfo {
  /** The JSON name; empty for an inlined struct, whose fields stand in its place. */
  readonly name: string
  readonly shape: Shape
  readonly pointer: boolean
  readonly omitEmpty: boolean
  readonly omitZero: boolean
  readonly inline: boolean
  readonly required: boolean
  /** The source has a description, which decides how OpenAPI spells a reference. */
  readonly documented: boolean
  /** The protobuf field number; 0 when the field is not in protobuf. */
  readonly number: number
  readonly listType?: 'atomic' | 'set' | 'map'
  readonly listMapKeys?: readonly string[]
  readonly mapType?: 'granular' | 'atomic'
  readonly patchStrategy?: string
  readonly patchMergeKey?: string
  readonly default?: JsonValue
}

export interface StructInfo {
  readonly name: string
  readonly goType: string
  /** As in `#/components/schemas/`: io.k8s.api.core.v1.ConfigMap. */
  readonly openApiName: string
  readonly mapType?: 'granular' | 'atomic'
  readonly union?: {
    readonly discriminator?: string
    readonly fields: { readonly [json: string]: string }
  }
  /** In Go's order, inlined structs unexpanded. */
  readonly fields: readonly FieldInfo[]
}

interface Attributes {
  lt?: 'atomic' | 'set' | 'map'
  lk?: string[]
  mt?: 'granular' | 'atomic'
  ps?: string
  pk?: string
  d?: JsonValue
}
interface StructAttributes {
  mt?: 'granular' | 'atomic'
  u?: { d?: string; f: { [json: string]: string } }
}
type FieldRow = [name: string, shape: number, flags: number, number: number, more?: Attributes]
type StructRow = [name: string, pkg: number, attributes: StructAttributes | 0, ...FieldRow[]]
/** A scalar's or special type's name, or a constructor; see scripts/generate-fields/builder.go. */
type ShapeRow =
  | string
  | ['s', number]
  | ['n', ScalarBase, string, number?]
  | ['l', element: number, goType: string | 0, flags: number]
  | ['m', element: number, key: string, goType: string | 0, flags: number]

interface Data {
  packages: [alias: string, openApiPrefix: string][]
  enums: string[][]
  shapes: ShapeRow[]
  structs: StructRow[]
  kinds: { [apiVersion: string]: { [kind: string]: number } }
  options: { [kind: string]: number }
}

const POINTER = 1
const OMIT_EMPTY = 2
const INLINE = 4
const REQUIRED = 8
const DOCUMENTED = 16
const OMIT_ZERO = 32
const ELEMENT_POINTER = 1
const ELEMENT_WRAPPED = 2

const SPECIAL_GO_TYPES: Record<SpecialName, string> = {
  Time: 'v1.Time',
  MicroTime: 'v1.MicroTime',
  Duration: 'v1.Duration',
  Quantity: 'resource.Quantity',
  IntOrString: 'intstr.IntOrString',
  RawExtension: 'runtime.RawExtension',
  FieldsV1: 'v1.FieldsV1',
  JSON: 'v1.JSON',
  JSONSchemaPropsOrArray: 'v1.JSONSchemaPropsOrArray',
  JSONSchemaPropsOrBool: 'v1.JSONSchemaPropsOrBool',
  JSONSchemaPropsOrStringArray: 'v1.JSONSchemaPropsOrStringArray',
}
const isSpecial = (name: string): name is SpecialName => Object.hasOwn(SPECIAL_GO_TYPES, name)

let loaded: Data | undefined
const structs: StructInfo[] = []
const shapes: Shape[] = []
let structsByOpenApiName: Map<string, number> | undefined

function data(): Data {
  loaded ??= JSON.parse(
    readFileSync(new URL('./fields.data.json', import.meta.url), 'utf8'),
  ) as Data
  return loaded
}

/** Every built-in kind, option kinds (DeleteOptions, WatchEvent, ...) left out. */
export function builtinKinds(): GroupVersionKind[] {
  return Object.entries(data().kinds).flatMap(([apiVersion, kinds]) => {
    const gv = parseApiVersion(apiVersion)
    assert(gv !== undefined, `bad apiVersion ${apiVersion} in the field table`)
    return Object.keys(kinds).map(kind => ({ ...gv, kind }))
  })
}

/** Every apiVersion the table has kinds of. */
export function groupVersions(): string[] {
  return Object.keys(data().kinds)
}

/** The kinds of meta/v1 that exist in every group version: DeleteOptions, WatchEvent and their like. */
export function optionKinds(): string[] {
  return Object.keys(data().options)
}

/** The struct of a kind; option kinds answer for every group version. Undefined when it is no built-in. */
export function builtinStruct(gvk: GroupVersionKind): StructInfo | undefined {
  const { kinds, options } = data()
  const apiVersion = apiVersionOf(gvk)
  const own = Object.hasOwn(kinds, apiVersion) ? kinds[apiVersion] : undefined
  if (own !== undefined && Object.hasOwn(own, gvk.kind)) return structAt(own[gvk.kind]!)
  return Object.hasOwn(options, gvk.kind) ? structAt(options[gvk.kind]!) : undefined
}

/** A struct's fields with those of inlined structs in their place, in Go's order. */
export function flatFields(struct: StructInfo): FieldInfo[] {
  return struct.fields.flatMap(field =>
    field.inline && field.shape.kind === 'struct' ? flatFields(field.shape.struct) : [field],
  )
}

/** The struct behind an OpenAPI name such as io.k8s.api.core.v1.ConfigMap, also one that is no kind. */
export function structByOpenApiName(name: string): StructInfo | undefined {
  structsByOpenApiName ??= new Map(
    data().structs.map((row, i) => [`${data().packages[row[1]]![1]}.${row[0]}`, i]),
  )
  const index = structsByOpenApiName.get(name)
  return index === undefined ? undefined : structAt(index)
}

function structAt(index: number): StructInfo {
  const known = structs[index]
  if (known !== undefined) return known
  const row = data().structs[index]
  assert(row !== undefined, `no struct ${index} in the field table`)
  const [name, pkg, attributes, ...rows] = row
  const [alias, prefix] = data().packages[pkg]!
  let fields: readonly FieldInfo[] | undefined
  const info: StructInfo = {
    name,
    goType: `${alias}.${name}`,
    openApiName: `${prefix}.${name}`,
    ...(attributes !== 0 && attributes.mt !== undefined ? { mapType: attributes.mt } : {}),
    ...(attributes !== 0 && attributes.u !== undefined ? { union: unionOf(attributes.u) } : {}),
    get fields() {
      fields ??= rows.map(fieldOf)
      return fields
    },
  }
  structs[index] = info
  return info
}

function unionOf(u: {
  d?: string
  f: { [json: string]: string }
}): NonNullable<StructInfo['union']> {
  return u.d === undefined ? { fields: u.f } : { discriminator: u.d, fields: u.f }
}

function fieldOf([name, shape, flags, number, more = {}]: FieldRow): FieldInfo {
  return {
    name,
    shape: shapeAt(shape),
    pointer: (flags & POINTER) !== 0,
    omitEmpty: (flags & OMIT_EMPTY) !== 0,
    omitZero: (flags & OMIT_ZERO) !== 0,
    inline: (flags & INLINE) !== 0,
    required: (flags & REQUIRED) !== 0,
    documented: (flags & DOCUMENTED) !== 0,
    number,
    ...(more.lt === undefined ? {} : { listType: more.lt }),
    ...(more.lk === undefined ? {} : { listMapKeys: more.lk }),
    ...(more.mt === undefined ? {} : { mapType: more.mt }),
    ...(more.ps === undefined ? {} : { patchStrategy: more.ps }),
    ...(more.pk === undefined ? {} : { patchMergeKey: more.pk }),
    ...(more.d === undefined ? {} : { default: more.d }),
  }
}

function shapeAt(index: number): Shape {
  const known = shapes[index]
  if (known !== undefined) return known
  const row = data().shapes[index]
  assert(row !== undefined, `no shape ${index} in the field table`)
  const shape = shapeOf(row)
  shapes[index] = shape
  return shape
}

function shapeOf(row: ShapeRow): Shape {
  if (typeof row === 'string') return namedShape(row)
  if (row[0] === 's') {
    const struct = structAt(row[1])
    return { kind: 'struct', goType: struct.goType, struct }
  }
  if (row[0] === 'n') {
    const scalar = { kind: 'scalar', base: row[1], goType: row[2] } as const
    return row[3] === undefined ? scalar : { ...scalar, enum: data().enums[row[3]]! }
  }
  const element = shapeAt(row[1])
  const flags = row[0] === 'l' ? row[3] : row[4]
  const elementType = `${(flags & ELEMENT_POINTER) === 0 ? '' : '*'}${element.goType}`
  const wrapped = (flags & ELEMENT_WRAPPED) !== 0
  return row[0] === 'l'
    ? { kind: 'list', goType: row[2] === 0 ? `[]${elementType}` : row[2], element, wrapped }
    : {
        kind: 'map',
        goType: row[3] === 0 ? `map[${row[2]}]${elementType}` : row[3],
        element,
        wrapped,
      }
}

function namedShape(name: string): Shape {
  if (isSpecial(name)) return { kind: 'special', name, goType: SPECIAL_GO_TYPES[name] }
  if (name === 'bytes') return { kind: 'bytes', goType: '[]uint8' }
  if (name === 'any') return { kind: 'any', goType: 'interface {}' }
  return { kind: 'scalar', base: name as ScalarBase, goType: name }
}
