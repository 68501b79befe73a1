// The component schemas of an OpenAPI document: built-in types from the field table, custom ones from their CRD.
// Called by openapi.ts. Ref: apiextensions-apiserver/pkg/controller/openapi/builder/builder.go

import {
  builtinOpenApi,
  builtinOpenApiName,
  cloneJson,
  isObject,
  type JsonObject,
  type JsonValue,
  reachableOpenApiNames,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { withObjectMetaDescriptions } from './object-meta-descriptions.ts'

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const REF = '#/components/schemas/'
const PATCH = `${META}.Patch`
/** Types that every document's operations refer to. */
const SHARED = [
  `${META}.Status`,
  `${META}.DeleteOptions`,
  `${META}.APIResourceList`,
  `${META}.WatchEvent`,
]

/** The component name of a resource's kind. */
export function schemaName(resource: Resource): string {
  const { gvr, names } = resource
  const builtin =
    resource.crd === undefined ? builtinOpenApiName({ ...gvr, kind: names.kind }) : undefined
  return builtin ?? `${gvr.group.split('.').reverse().join('.')}.${gvr.version}.${names.kind}`
}

export const listSchemaName = (resource: Resource): string => `${schemaName(resource)}List`

export function schemasOf(resources: readonly Resource[]): JsonObject {
  const schemas: JsonObject = {}
  const wanted = new Set<string>(SHARED.flatMap(reach))
  for (const resource of resources) {
    if (resource.crd !== undefined) {
      for (const name of [...reach(`${META}.ObjectMeta`), ...reach(`${META}.ListMeta`)])
        wanted.add(name)
      schemas[schemaName(resource)] = customSchema(resource)
      schemas[listSchemaName(resource)] = customListSchema(resource)
    } else {
      for (const name of [schemaName(resource), listSchemaName(resource)].flatMap(reach))
        wanted.add(name)
    }
    for (const sub of resource.subresources.values()) {
      const gvk = sub.type === 'stored' ? undefined : sub.gvk
      const name = gvk === undefined ? undefined : builtinOpenApiName(gvk)
      if (name !== undefined) for (const reached of reach(name)) wanted.add(reached)
    }
  }
  for (const name of [...wanted].sort()) {
    const schema = builtinOpenApi(name)
    if (schema === undefined) continue
    schemas[name] = name === `${META}.ObjectMeta` ? withObjectMetaDescriptions(schema) : schema
  }
  // A body without a type of its own, which only operations name.
  schemas[PATCH] = { type: 'object', description: 'The body of a PATCH, by its content type.' }
  return schemas
}

const reach = (name: string): readonly string[] => [...reachableOpenApiNames(name)]

const TYPE_META: JsonObject = {
  apiVersion: {
    type: 'string',
    description: 'APIVersion defines which group and version the fields are of, such as apps/v1.',
  },
  kind: { type: 'string', description: 'The name of the type of this object, in CamelCase.' },
}

function customSchema(resource: Resource): JsonObject {
  const own = publish(
    cloneJson(resource.openApiSchema ?? { 'x-kubernetes-preserve-unknown-fields': true }),
  )
  const properties: JsonObject = {
    ...(isObject(own.properties) ? own.properties : {}),
    ...TYPE_META,
    metadata: {
      allOf: [{ $ref: `${REF}${META}.ObjectMeta` }],
      description: "Standard object's metadata: names, labels and what else all objects have.",
    },
  }
  const { gvr, names } = resource
  const schema: JsonObject = { ...own, type: 'object', properties }
  schema['x-kubernetes-group-version-kind'] = [
    { group: gvr.group, version: gvr.version, kind: names.kind },
  ]
  return { ...schema, ...selectableFields(resource) }
}

function selectableFields({ selectableFields }: Resource): JsonObject {
  if (selectableFields.size === 0) return {}
  const paths = [...selectableFields.keys()].map(fieldPath => ({ fieldPath }))
  return { 'x-kubernetes-selectable-fields': paths }
}

/** What a schema leaves to its marks is said: both types of an int-or-string, the fields of an embedded object. */
function publish(schema: JsonObject): JsonObject {
  const out: JsonObject = {}
  for (const [key, item] of Object.entries(schema)) {
    if (key === 'properties' && isObject(item)) out.properties = publishEach(item)
    else if ((key === 'items' || key === 'additionalProperties') && isObject(item))
      out[key] = publish(item)
    else out[key] = item
  }
  const keys = schema['x-kubernetes-list-map-keys']
  // What strategic merge in clients looks for.
  if (Array.isArray(keys) && keys.length === 1) out['x-kubernetes-patch-merge-key'] = keys[0]!
  if (schema['x-kubernetes-int-or-string'] === true && schema.allOf === undefined)
    out.anyOf ??= [{ type: 'integer' }, { type: 'string' }]
  if (schema['x-kubernetes-embedded-resource'] === true) {
    out.properties = withTypeMeta(out.properties)
    const required = Array.isArray(schema.required) ? schema.required : []
    out.required = [...new Set([...required, 'kind', 'apiVersion'])]
  }
  return out
}

const publishEach = (properties: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      isObject(schema) ? publish(schema) : schema,
    ]),
  )

function withTypeMeta(properties: JsonValue | undefined): JsonObject {
  return {
    ...(isObject(properties) ? properties : {}),
    ...TYPE_META,
    metadata: { allOf: [{ $ref: `${REF}${META}.ObjectMeta` }] },
  }
}

function customListSchema(resource: Resource): JsonObject {
  const { gvr, names } = resource
  return {
    type: 'object',
    required: ['items'],
    properties: {
      ...TYPE_META,
      items: { type: 'array', items: { $ref: `${REF}${schemaName(resource)}` } },
      metadata: { allOf: [{ $ref: `${REF}${META}.ListMeta` }] },
    },
    'x-kubernetes-group-version-kind': [
      { group: gvr.group, version: gvr.version, kind: names.listKind },
    ],
    ...selectableFields(resource),
  }
}
