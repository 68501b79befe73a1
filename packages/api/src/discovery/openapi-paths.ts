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
  /** What the operation's name says before its kind. */
  readonly infix?: string
  readonly options: readonly string[]
  /** What success answers: an object of the kind, unless it says otherwise. */
  readonly answer?: 'list' | 'status' | 'deleted' | 'text'
  /** The codes of success. */
  readonly codes: readonly number[]
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

const CREATE: Operation = {
  method: 'post',
  action: 'post',
  id: 'create',
  options: WRITE,
  body: 'object',
  codes: [200, 201, 202],
}
const COLLECTION: Partial<Record<ResourceVerb, Operation>> = {
  list: { method: 'get', action: 'list', id: 'list', options: LIST, answer: 'list', codes: [200] },
  create: CREATE,
  deletecollection: {
    method: 'delete',
    action: 'deletecollection',
    id: 'delete',
    infix: 'Collection',
    options: [...LIST, ...DELETE],
    body: 'options',
    answer: 'status',
    codes: [200],
  },
}
const ITEM: Partial<Record<ResourceVerb, Operation>> = {
  get: {
    method: 'get',
    action: 'get',
    id: 'read',
    options: ['pretty', 'resourceVersion'],
    codes: [200],
  },
  update: {
    method: 'put',
    action: 'put',
    id: 'replace',
    options: WRITE,
    body: 'object',
    codes: [200, 201],
  },
  patch: {
    method: 'patch',
    action: 'patch',
    id: 'patch',
    options: [...WRITE, 'force'],
    body: 'patch',
    codes: [200, 201],
  },
  delete: {
    method: 'delete',
    action: 'delete',
    id: 'delete',
    options: DELETE,
    body: 'options',
    answer: 'deleted',
    codes: [200, 202],
  },
  create: CREATE,
}
/** A log is read; all else that a node does is a connection. */
const READ_TEXT: typeof ITEM = {
  get: { method: 'get', action: 'get', id: 'read', options: [], answer: 'text', codes: [200] },
}
const CONNECT: typeof ITEM = {
  get: connect('get'),
  create: connect('post'),
  update: connect('put'),
  patch: connect('patch'),
  delete: connect('delete'),
}
const NODE: Readonly<Record<string, typeof ITEM>> = {
  log: READ_TEXT,
  attach: CONNECT,
  exec: CONNECT,
  portforward: CONNECT,
  proxy: CONNECT,
}
const STATUS = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status'
const WORDS: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Created', 202: 'Accepted' }
const BOOLEANS = new Set([
  'allowWatchBookmarks',
  'watch',
  'sendInitialEvents',
  'orphanDependents',
  'force',
])
const INTEGERS = new Set(['limit', 'timeoutSeconds', 'gracePeriodSeconds'])
const JSON_PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json']
const APPLY = 'application/apply-patch+yaml'
const PATCH_TYPES = [...JSON_PATCH_TYPES, APPLY]
/** Clients choose their patches by this: only built-ins know how to merge their lists. */
const BUILTIN_PATCH_TYPES = [...JSON_PATCH_TYPES, 'application/strategic-merge-patch+json', APPLY]

function connect(method: string): Operation {
  const infix = title(method)
  return {
    method,
    action: 'connect',
    id: 'connect',
    infix,
    options: [],
    answer: 'text',
    codes: [200],
  }
}

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
  const make = (
    path: string,
    table: typeof ITEM,
    allowed: readonly ResourceVerb[],
    target: Target = { resource },
  ): void => {
    const entries = allowed.flatMap(verb => {
      const operation = table[verb]
      return operation === undefined
        ? []
        : [[operation.method, operationOf(target, operation)] as const]
    })
    if (entries.length > 0)
      paths[path] = { ...Object.fromEntries(entries), ...parameters(pathParameters(path)) }
  }
  make(collection, COLLECTION, verbs)
  if (namespaced && verbs.includes('list'))
    make(`${root}/${gvr.resource}`, { list: COLLECTION.list! }, ['list'], {
      resource,
      allNamespaces: true,
    })
  const itemVerbs = verbs.filter(verb => verb !== 'create')
  make(`${collection}/{name}`, ITEM, itemVerbs)
  for (const sub of resource.subresources)
    make(`${collection}/{name}/${sub[0]}`, tableOf(sub), sub[1].verbs, { resource, sub })
}

function tableOf([name, { type }]: readonly [string, Subresource]): typeof ITEM {
  return (type === 'node' ? NODE[name] : undefined) ?? ITEM
}

/** What operations are made for: a resource, a subresource of it, or a namespaced one across all namespaces. */
interface Target {
  readonly resource: Resource
  readonly sub?: readonly [name: string, Subresource]
  readonly allNamespaces?: boolean
}

function operationOf({ resource, sub, allNamespaces }: Target, operation: Operation): JsonObject {
  const { gvr, names, namespaced, crd } = resource
  const foreign = sub !== undefined && sub[1].type !== 'stored' ? sub[1].gvk : undefined
  const gvk = foreign ?? { group: gvr.group, version: gvr.version, kind: names.kind }
  const kind = schemaName(resource)
  const target = foreign === undefined ? kind : (builtinOpenApiName(foreign) ?? kind)
  const tag = gvr.group === '' ? 'core' : camel(gvr.group)
  const scope = namespaced && allNamespaces !== true ? 'Namespaced' : ''
  const suffix = allNamespaces === true ? 'ForAllNamespaces' : title(sub?.[0] ?? '')
  return {
    tags: [`${tag}_${gvr.version}`],
    operationId: [
      ...[operation.id, title(tag), title(gvr.version), operation.infix ?? ''],
      ...[scope, names.kind, suffix],
    ].join(''),
    ...parameters(operation.options.map(queryParameter)),
    ...requestBody(operation, target, crd === undefined),
    responses: responses(resource, operation, target),
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': { group: gvk.group, version: gvk.version, kind: gvk.kind },
  }
}

function responses(resource: Resource, { answer, codes }: Operation, target: string): JsonObject {
  const schema = {
    object: reference(target),
    list: reference(listSchemaName(resource)),
    status: reference(STATUS),
    deleted: reference(resource.returnsDeleted === true ? target : STATUS),
    text: { type: 'string' },
  }[answer ?? 'object']
  const content = { 'application/json': { schema } }
  return {
    ...Object.fromEntries(codes.map(code => [code, { description: WORDS[code] ?? '', content }])),
    401: { description: 'Unauthorized' },
  }
}

function requestBody({ body }: Operation, target: string, isBuiltin: boolean): JsonObject {
  if (body === undefined) return {}
  const ref = (name: string): JsonObject => ({ schema: reference(name) })
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

const reference = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` })

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

function title(text: string): string {
  return text === '' ? '' : text[0]!.toUpperCase() + text.slice(1)
}

const camel = (group: string): string => {
  const [first = '', ...rest] = group.replace(/\.k8s\.io$/, '').split('.')
  return first + rest.map(title).join('')
}
