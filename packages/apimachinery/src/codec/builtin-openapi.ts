// The built-in types' OpenAPI v3 schemas, spelled as openapi-gen and the v3 builder spell them, without descriptions.
// Called by the api package's OpenAPI documents and by explain. Calls field-data.ts.
// Ref: kube-openapi/pkg/generators/openapi.go, kube-openapi/pkg/builder3/util/util.go

import { parseApiVersion } from '../gvk.ts'
import { type JsonObject, type JsonValue, setOwn } from '../json.ts'
import {
  builtinKinds,
  builtinStruct,
  type FieldInfo,
  flatFields,
  groupVersions,
  optionKinds,
  type ScalarBase,
  type Shape,
  type SpecialName,
  type StructInfo,
  structByOpenApiName,
} from './field-data.ts'

const SCALARS: Record<ScalarBase, { type: string; format?: string; zero: JsonValue }> = {
  string: { type: 'string', zero: '' },
  bool: { type: 'boolean', zero: false },
  int: { type: 'integer', format: 'int32', zero: 0 },
  int32: { type: 'integer', format: 'int32', zero: 0 },
  int64: { type: 'integer', format: 'int64', zero: 0 },
  float64: { type: 'number', format: 'double', zero: 0 },
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const APIEXTENSIONS = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

/** The special types are documents of their own, and every use refers to them. */
const SPECIALS: Record<SpecialName, { readonly name: string; readonly schema: JsonObject }> = {
  Time: { name: `${META}.Time`, schema: { type: 'string', format: 'date-time' } },
  MicroTime: { name: `${META}.MicroTime`, schema: { type: 'string', format: 'date-time' } },
  Duration: { name: `${META}.Duration`, schema: { type: 'string' } },
  FieldsV1: { name: `${META}.FieldsV1`, schema: { type: 'object' } },
  Quantity: {
    name: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
    schema: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  },
  IntOrString: {
    name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    schema: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  },
  RawExtension: {
    name: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
    schema: { type: 'object' },
  },
  JSON: { name: `${APIEXTENSIONS}.JSON`, schema: {} },
  JSONSchemaPropsOrArray: { name: `${APIEXTENSIONS}.JSONSchemaPropsOrArray`, schema: {} },
  JSONSchemaPropsOrBool: { name: `${APIEXTENSIONS}.JSONSchemaPropsOrBool`, schema: {} },
  JSONSchemaPropsOrStringArray: {
    name: `${APIEXTENSIONS}.JSONSchemaPropsOrStringArray`,
    schema: {},
  },
}
const specialByName = new Map(Object.values(SPECIALS).map(({ name, schema }) => [name, schema]))

let kindsByStruct: Map<StructInfo, { group: string; kind: string; version: string }[]> | undefined

/**
 * The schema of a type by its OpenAPI name (io.k8s.api.core.v1.Pod), undefined for an unknown one.
 * References point into #/components/schemas/. A kind carries x-kubernetes-group-version-kind.
 */
export function builtinOpenApi(typeName: string): JsonObject | undefined {
  const special = specialByName.get(typeName)
  if (special !== undefined) return { ...special }
  const struct = structByOpenApiName(typeName)
  return struct === undefined ? undefined : structSchema(struct)
}

/** The OpenAPI name of a built-in kind's type. */
export function builtinOpenApiName(gvk: {
  group: string
  version: string
  kind: string
}): string | undefined {
  return builtinStruct(gvk)?.openApiName
}

/** Every type name a built-in type reaches, itself included: the schemas a document needs. */
export function reachableOpenApiNames(typeName: string): Set<string> {
  const seen = new Set<string>()
  const visitShape = (shape: Shape): void => {
    if (shape.kind === 'special') seen.add(SPECIALS[shape.name].name)
    else if (shape.kind === 'struct') visit(shape.struct)
    else if (shape.kind === 'list' || shape.kind === 'map') visitShape(shape.element)
  }
  const visit = (struct: StructInfo): void => {
    if (seen.has(struct.openApiName)) return
    seen.add(struct.openApiName)
    for (const field of flatFields(struct)) visitShape(field.shape)
  }
  const root = structByOpenApiName(typeName)
  if (root !== undefined) visit(root)
  else if (specialByName.has(typeName)) seen.add(typeName)
  return seen
}

function structSchema(struct: StructInfo): JsonObject {
  const schema: JsonObject = { type: 'object' }
  const fields = flatFields(struct)
  const required = fields.filter(field => field.required).map(field => field.name)
  if (required.length > 0) schema.required = required
  if (fields.length > 0) {
    const properties: JsonObject = {}
    for (const field of fields) setOwn(properties, field.name, fieldSchema(field))
    schema.properties = properties
  }
  const kinds = kindsOf(struct)
  if (kinds.length > 0) schema['x-kubernetes-group-version-kind'] = kinds
  if (struct.mapType !== undefined) schema['x-kubernetes-map-type'] = struct.mapType
  const unions = unionsOf(struct)
  if (unions.length > 0) schema['x-kubernetes-unions'] = unions
  return schema
}

function unionsOf(struct: StructInfo): JsonValue[] {
  const inlined = struct.fields.flatMap(field =>
    field.inline && field.shape.kind === 'struct' ? unionsOf(field.shape.struct) : [],
  )
  if (struct.union === undefined) return inlined
  const { discriminator, fields } = struct.union
  const union: JsonObject = discriminator === undefined ? {} : { discriminator }
  union['fields-to-discriminateBy'] = { ...fields }
  return [union, ...inlined]
}

function fieldSchema(field: FieldInfo): JsonObject {
  const zero = field.pointer ? undefined : zeroOf(field.shape, field.omitEmpty)
  const schema = usedShape(field.shape, field.default ?? zero, field.documented)
  const extensions: [string, JsonValue | undefined][] = [
    ['x-kubernetes-list-map-keys', field.listMapKeys && [...field.listMapKeys]],
    ['x-kubernetes-list-type', field.listType],
    ['x-kubernetes-map-type', field.mapType],
    ['x-kubernetes-patch-merge-key', field.patchMergeKey],
    ['x-kubernetes-patch-strategy', field.patchStrategy],
  ]
  for (const [name, value] of extensions) if (value !== undefined) schema[name] = value
  return schema
}

/** The default that openapi-gen enforces: what Go's decoder leaves in an absent field that cannot be absent. */
function zeroOf(shape: Shape, omitEmpty: boolean): JsonValue | undefined {
  if (shape.kind === 'struct') return isAliasLike(shape.struct) ? undefined : {}
  if (shape.kind === 'scalar' && !omitEmpty) return SCALARS[shape.base].zero
  return undefined
}

/** A struct with one inlined member counts as that member. */
function isAliasLike(struct: StructInfo): boolean {
  const [only] = struct.fields
  if (struct.fields.length !== 1 || only === undefined || !only.inline) return false
  return zeroOf(only.shape, false) === undefined
}

/** A shape where it is used. A reference with anything beside it stands in allOf. */
function usedShape(
  shape: Shape,
  defaultValue: JsonValue | undefined,
  documented: boolean,
): JsonObject {
  const withDefault: JsonObject = defaultValue === undefined ? {} : { default: defaultValue }
  switch (shape.kind) {
    case 'struct':
    case 'special': {
      const name = shape.kind === 'struct' ? shape.struct.openApiName : SPECIALS[shape.name].name
      const reference = { $ref: `#/components/schemas/${name}` }
      return documented || defaultValue !== undefined
        ? { allOf: [reference], ...withDefault }
        : reference
    }
    case 'scalar': {
      const { type, format } = SCALARS[shape.base]
      const schema: JsonObject = { type, ...withDefault }
      if (format !== undefined) schema.format = format
      if (shape.enum !== undefined && shape.enum.length > 0) schema.enum = [...shape.enum]
      return schema
    }
    case 'bytes':
      return { type: 'string', format: 'byte', ...withDefault }
    case 'any':
      return { type: 'object', ...withDefault }
    case 'list':
      return { type: 'array', items: elementSchema(shape.element), ...withDefault }
    case 'map':
      return {
        type: 'object',
        additionalProperties: elementSchema(shape.element),
        ...withDefault,
      }
  }
}

function elementSchema(element: Shape): JsonObject {
  return usedShape(element, zeroOf(element, false), false)
}

function kindsOf(struct: StructInfo): JsonValue[] {
  kindsByStruct ??= indexKinds()
  return (kindsByStruct.get(struct) ?? []).map(gvk => ({ ...gvk }))
}

function indexKinds(): NonNullable<typeof kindsByStruct> {
  const index: NonNullable<typeof kindsByStruct> = new Map()
  const add = (group: string, version: string, kind: string): void => {
    const struct = builtinStruct({ group, version, kind })
    if (struct === undefined) return
    const kinds = index.get(struct)
    if (kinds === undefined) index.set(struct, [{ group, kind, version }])
    else kinds.push({ group, kind, version })
  }
  for (const { group, version, kind } of builtinKinds()) add(group, version, kind)
  for (const apiVersion of groupVersions()) {
    const gv = parseApiVersion(apiVersion)
    if (gv !== undefined) for (const kind of optionKinds()) add(gv.group, gv.version, kind)
  }
  return index
}
