// Schemas of the built-in kinds as SchemaNodes, made lazily from the field table and shared.
// Called by the registry for every built-in resource, by decodeTyped's users and by managed fields and patch.
// Calls field-data.ts.

import { assert } from '../assert.ts'
import type { GroupVersionKind } from '../gvk.ts'
import type { SchemaNode, SchemaType } from '../schema/node.ts'
import {
  builtinStruct,
  type FieldInfo,
  flatFields,
  type ScalarBase,
  type Shape,
  type SpecialName,
  type StructInfo,
  structByOpenApiName,
} from './field-data.ts'

export { builtinKinds } from './field-data.ts'

type PatchStrategy = NonNullable<SchemaNode['patchStrategy']>[number]

const SCALARS: Record<ScalarBase, { type: SchemaType; format?: string }> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int: { type: 'integer', format: 'int32' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
}

/**
 * What a special type looks like to those who walk schemas. A Quantity may be written as a string or a
 * number, so it has no type, only its format. decodeTyped knows the types by their goType.
 */
const SPECIALS: Record<SpecialName, SchemaNode> = {
  Time: { type: 'string', format: 'date-time' },
  MicroTime: { type: 'string', format: 'date-time' },
  Duration: { type: 'string', format: 'duration' },
  Quantity: { format: 'quantity' },
  IntOrString: { intOrString: true },
  RawExtension: { type: 'object', preserveUnknownFields: true },
  FieldsV1: { type: 'object', preserveUnknownFields: true },
  JSON: { preserveUnknownFields: true },
  JSONSchemaPropsOrArray: { preserveUnknownFields: true },
  JSONSchemaPropsOrBool: { preserveUnknownFields: true },
  JSONSchemaPropsOrStringArray: { preserveUnknownFields: true },
}

export const JSON_SCHEMA_PROPS =
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps'
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

const shapeNodes = new WeakMap<Shape, SchemaNode>()
const inlinedIn = new WeakMap<SchemaNode, readonly string[]>()
const structProperties = new WeakMap<StructInfo, ReadonlyMap<string, SchemaNode>>()

/**
 * The schema of a built-in kind, undefined when there is no such kind. The same node for every call;
 * `goType` is set on every node and `presence` on every field.
 * A field with presence 'always' is `nullable` when its empty value is null (pointers, lists and maps).
 */
export function builtinSchema(gvk: GroupVersionKind): SchemaNode | undefined {
  const struct = builtinStruct(gvk)
  return struct === undefined ? undefined : structSchema(struct)
}

/** The schema of any struct of the table, as `io.k8s.api.core.v1.PodTemplateSpec`. */
export function builtinTypeSchema(openApiName: string): SchemaNode | undefined {
  const struct = structByOpenApiName(openApiName)
  return struct === undefined ? undefined : structSchema(struct)
}

/** The schema of metadata, also of custom resources. */
export function objectMetaSchema(): SchemaNode {
  return knownTypeSchema(OBJECT_META)
}

/** The schema of an OpenAPI schema inside a CustomResourceDefinition. */
export function jsonSchemaPropsSchema(): SchemaNode {
  return knownTypeSchema(JSON_SCHEMA_PROPS)
}

function knownTypeSchema(openApiName: string): SchemaNode {
  const schema = builtinTypeSchema(openApiName)
  assert(schema !== undefined, `the field table has no ${openApiName}`)
  return schema
}

const structNodes = new WeakMap<StructInfo, SchemaNode>()

/** The schema of a struct of the table. */
export function structSchema(struct: StructInfo): SchemaNode {
  const known = structNodes.get(struct)
  if (known !== undefined) return known
  const node = makeStructNode(
    struct,
    struct.mapType === undefined ? {} : { mapType: struct.mapType },
  )
  structNodes.set(struct, node)
  return node
}

/** Properties stay unexpanded until read: types refer to themselves, and most are never looked at. */
function makeStructNode(struct: StructInfo, attributes: SchemaNode): SchemaNode {
  const node: SchemaNode = {
    type: 'object',
    goType: struct.goType,
    ...attributes,
    get properties() {
      return propertiesOf(struct)
    },
    get required() {
      return requiredOf(struct)
    },
  }
  return node
}

function propertiesOf(struct: StructInfo): ReadonlyMap<string, SchemaNode> {
  const known = structProperties.get(struct)
  if (known !== undefined) return known
  const properties = new Map<string, SchemaNode>()
  addProperties(properties, struct, [])
  // TypeMeta's fields are declared kind first; apiVersion leads on the wire.
  const sorted = properties.has('apiVersion') && properties.has('kind') && struct.fields[0]?.inline
  const result = sorted
    ? new Map([['apiVersion', properties.get('apiVersion')!] as const, ...properties])
    : properties
  structProperties.set(struct, result)
  return result
}

function addProperties(
  properties: Map<string, SchemaNode>,
  struct: StructInfo,
  within: readonly string[],
): void {
  for (const field of struct.fields) {
    if (field.inline && field.shape.kind === 'struct') {
      addProperties(properties, field.shape.struct, [...within, field.shape.struct.name])
      continue
    }
    const node = fieldNode(field)
    if (within.length > 0) inlinedIn.set(node, within)
    properties.set(field.name, node)
  }
}

/** The names of the Go structs a field was inlined from, outermost first, as decode errors spell them. */
export function inliningOf(field: SchemaNode): readonly string[] {
  return inlinedIn.get(field) ?? []
}

function requiredOf(struct: StructInfo): readonly string[] {
  return flatFields(struct)
    .filter(field => field.required)
    .map(field => field.name)
}

function fieldNode(field: FieldInfo): SchemaNode {
  const { shape } = field
  const attributes: SchemaNode = {
    ...presenceOf(field),
    ...(field.listType === undefined ? {} : { listType: field.listType }),
    ...(field.listMapKeys === undefined ? {} : { listMapKeys: field.listMapKeys }),
    ...(field.mapType === undefined ? {} : { mapType: field.mapType }),
    ...(field.patchMergeKey === undefined ? {} : { patchMergeKey: field.patchMergeKey }),
    ...(field.patchStrategy === undefined
      ? {}
      : { patchStrategy: field.patchStrategy.split(',') as PatchStrategy[] }),
    ...(field.default === undefined ? {} : { default: field.default }),
  }
  if (shape.kind !== 'struct') return { ...shapeNode(shape), ...attributes }
  const { mapType } = shape.struct
  return makeStructNode(
    shape.struct,
    mapType === undefined ? attributes : { mapType, ...attributes },
  )
}

function presenceOf(field: FieldInfo): SchemaNode {
  const { shape } = field
  const isStruct = shape.kind === 'struct' || shape.kind === 'special'
  if (field.omitZero) return { presence: 'omitempty' }
  if (field.pointer && field.omitEmpty) return { presence: 'pointer' }
  if (field.omitEmpty && !isStruct) return { presence: 'omitempty' }
  const nullable =
    field.pointer || ['list', 'map', 'bytes', 'any'].includes(shape.kind) || isNullWhenZero(shape)
  return nullable ? { presence: 'always', nullable: true } : { presence: 'always' }
}

/** Special structs whose zero value is written as null. */
function isNullWhenZero(shape: Shape): boolean {
  return shape.kind === 'special' && !['Duration', 'Quantity', 'IntOrString'].includes(shape.name)
}

function shapeNode(shape: Shape): SchemaNode {
  const known = shapeNodes.get(shape)
  if (known !== undefined) return known
  const node = makeShapeNode(shape)
  shapeNodes.set(shape, node)
  return node
}

function makeShapeNode(shape: Shape): SchemaNode {
  const { goType } = shape
  switch (shape.kind) {
    case 'scalar':
      return { ...SCALARS[shape.base], goType }
    case 'bytes':
      return { type: 'string', format: 'byte', goType }
    case 'any':
      return { preserveUnknownFields: true, goType }
    case 'special':
      return { ...SPECIALS[shape.name], goType }
    case 'struct':
      return structSchema(shape.struct)
    case 'list':
      return { type: 'array', items: shapeNode(shape.element), goType }
    case 'map':
      return { type: 'object', additionalProperties: shapeNode(shape.element), goType }
  }
}
