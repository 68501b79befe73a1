// The paths of an OpenAPI document: one operation for each verb of each resource and subresource, with its parameters.
// Called by openapi.ts. Ref: apiserver/pkg/endpoints/installer.go

import { builtinOpenApiName, type JsonObject } from '@podless/apimachinery'
import type { Resource, ResourceVerb, Subresource } from '../resource.ts'
import { listSchemaName, schemaName } from './openapi-schemas.ts'

interface Operation {
  readonly method: string
  /** x-kubernetes-action */
  readonly action: string
  readonly id: string
  readonly options: readonly string[]
  readonly list?: boolean
  readonly body?: 'object' | 'options' | 'patch'
}

const WRITE = ['dryRun', 'fieldManager', 'fieldValidation', 'pretty']
const LIST = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'pretty',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
]
const DELETE = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'pretty', 'propagationPolicy']

const COLLECTION: Partial<Record<ResourceVerb, Operation>> = {
  list: { method: 'get', action: 'list', id: 'list', options: LIST, list: true },
  create: { method: 'post', action: 'post', id: 'create', options: WRITE, body: 'object' },
  deletecollection: {
    method: 'delete',
    action: 'deletecollection',
    id: 'deleteCollection',
    options: [...LIST, ...DELETE],
    body: 'options',
  },
}
const ITEM: Partial<Record<ResourceVerb, Operation>> = {
  get: { method: 'get', action: 'get', id: 'read', options: ['pretty', 'resourceVersion'] },
  update: { method: 'put', action: 'put', id: 'replace', options: WRITE, body: 'object' },
  patch: {
    method: 'patch',
    action: 'patch',
    id: 'patch',
    options: [...WRITE, 'force'],
    body: 'patch',
  },
  delete: { method: 'delete', action: 'delete', id: 'delete', options: DELETE, body: 'options' },
  create: { method: 'post', action: 'post', id: 'create', options: WRITE, body: 'object' },
}
const BOOLEANS = new Set([
  'allowWatchBookmarks',
  'watch',
  'sendInitialEvents',
  'orphanDependents',
  'force',
])
const INTEGERS = new Set(['limit', 'timeoutSeconds', 'gracePeriodSeconds'])
const PATCH_TYPES = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
]
/** Clients choose their patches by this: only built-ins know how to merge their lists. */
const BUILTIN_PATCH_TYPES = [...PATCH_TYPES, 'application/strategic-merge-patch+json']

export function pathsOf(resources: readonly Resource[]): JsonObject {
  const paths: JsonObject = {}
  for (const resource of resources) addPaths(paths, resource)
  return paths
}

function addPaths(paths: JsonObject, resource: Resource): void {
  const { gvr, namespaced, verbs } = resource
  const root = gvr.group === '' ? `/api/${gvr.version}` : `/apis/${gvr.group}/${gvr.version}`
  const collection = namespaced
    ? `${root}/namespaces/{namespace}/${gvr.resource}`
    : `${root}/${gvr.resource}`
  const kind = schemaName(resource)
  const make = (
    path: string,
    table: typeof ITEM,
    allowed: readonly ResourceVerb[],
    sub?: [string, Subresource],
  ): void => {
    const entries = allowed.flatMap(verb => {
      const operation = table[verb]
      return operation === undefined
        ? []
        : [[operation.method, operationOf(resource, operation, kind, sub)] as const]
    })
    if (entries.length > 0)
      paths[path] = { ...Object.fromEntries(entries), ...parameters(pathParameters(path)) }
  }
  make(collection, COLLECTION, verbs)
  if (namespaced && verbs.includes('list'))
    make(`${root}/${gvr.resource}`, { list: COLLECTION.list! }, ['list'])
  const itemVerbs = verbs.filter(verb => verb !== 'create')
  make(`${collection}/{name}`, ITEM, itemVerbs)
  for (const entry of resource.subresources)
    make(`${collection}/{name}/${entry[0]}`, ITEM, entry[1].verbs, entry)
}

function operationOf(
  resource: Resource,
  operation: Operation,
  kind: string,
  sub?: [string, Subresource],
): JsonObject {
  const { gvr, names } = resource
  const foreign = sub !== undefined && sub[1].type !== 'stored' ? sub[1].gvk : undefined
  const gvk = foreign ?? { group: gvr.group, version: gvr.version, kind: names.kind }
  const target = foreign === undefined ? kind : (builtinOpenApiName(foreign) ?? kind)
  const answer = operation.list === true ? listSchemaName(resource) : target
  const tag = gvr.group === '' ? 'core' : camel(gvr.group)
  return {
    tags: [`${tag}_${gvr.version}`],
    operationId: `${operation.id}${title(tag)}${title(gvr.version)}${resource.namespaced ? 'Namespaced' : ''}${names.kind}${title(sub?.[0] ?? '')}`,
    ...parameters(operation.options.map(queryParameter)),
    ...requestBody(operation, target, resource.crd === undefined),
    responses: { 200: response(answer), 401: { description: 'Unauthorized' } },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': { group: gvk.group, version: gvk.version, kind: gvk.kind },
  }
}

function requestBody({ body }: Operation, target: string, isBuiltin: boolean): JsonObject {
  if (body === undefined) return {}
  const ref = (name: string): JsonObject => ({ schema: { $ref: `#/components/schemas/${name}` } })
  if (body === 'options')
    return {
      requestBody: {
        content: { '*/*': ref('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions') },
      },
    }
  if (body === 'object') return { requestBody: { content: { '*/*': ref(target) }, required: true } }
  const content: JsonObject = {}
  for (const type of isBuiltin ? BUILTIN_PATCH_TYPES : PATCH_TYPES)
    content[type] = ref('io.k8s.apimachinery.pkg.apis.meta.v1.Patch')
  return { requestBody: { content, required: true } }
}

function response(name: string): JsonObject {
  return {
    description: 'OK',
    content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } },
  }
}

/** Left out when there are none: Go clients write no empty list, and compare what they wrote. */
const parameters = (all: JsonObject[]): JsonObject => (all.length === 0 ? {} : { parameters: all })

function queryParameter(name: string): JsonObject {
  const type = BOOLEANS.has(name) ? 'boolean' : INTEGERS.has(name) ? 'integer' : 'string'
  return { name, in: 'query', schema: { type, uniqueItems: true } }
}

function pathParameters(path: string): JsonObject[] {
  return ['namespace', 'name']
    .filter(name => path.includes(`{${name}}`))
    .map(name => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string', uniqueItems: true },
    }))
}

const title = (text: string): string => (text === '' ? '' : text[0]!.toUpperCase() + text.slice(1))
const camel = (group: string): string => {
  const [first = '', ...rest] = group.replace(/\.k8s\.io$/, '').split('.')
  return first + rest.map(title).join('')
}
