// What operations are called and answer, as kube-apiserver's own document has it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { builtinResources } from '../resources/index.ts'
import { pathsOf } from './openapi-paths.ts'

const paths = pathsOf(builtinResources()) as Record<string, Record<string, JsonObject>>

const POD = '/api/v1/namespaces/{namespace}/pods/{name}'
const MAPS = '/api/v1/namespaces/{namespace}/configmaps'
/** Path, method, operation, action and what each code of success answers. */
const OPERATIONS: readonly (readonly [string, string, string, string, Record<number, string>])[] = [
  ['/api/v1/pods', 'get', 'listCoreV1PodForAllNamespaces', 'list', { 200: 'PodList' }],
  ['/api/v1/nodes', 'get', 'listCoreV1Node', 'list', { 200: 'NodeList' }],
  [
    MAPS,
    'post',
    'createCoreV1NamespacedConfigMap',
    'post',
    { 200: 'ConfigMap', 201: 'ConfigMap', 202: 'ConfigMap' },
  ],
  [
    MAPS,
    'delete',
    'deleteCoreV1CollectionNamespacedConfigMap',
    'deletecollection',
    { 200: 'Status' },
  ],
  [
    `${MAPS}/{name}`,
    'delete',
    'deleteCoreV1NamespacedConfigMap',
    'delete',
    { 200: 'Status', 202: 'Status' },
  ],
  [POD, 'delete', 'deleteCoreV1NamespacedPod', 'delete', { 200: 'Pod', 202: 'Pod' }],
  [POD, 'put', 'replaceCoreV1NamespacedPod', 'put', { 200: 'Pod', 201: 'Pod' }],
  [`${POD}/log`, 'get', 'readCoreV1NamespacedPodLog', 'get', { 200: 'string' }],
  [`${POD}/exec`, 'post', 'connectCoreV1PostNamespacedPodExec', 'connect', { 200: 'string' }],
  [
    `${POD}/eviction`,
    'post',
    'createCoreV1NamespacedPodEviction',
    'post',
    { 200: 'Eviction', 201: 'Eviction', 202: 'Eviction' },
  ],
]

for (const [path, method, id, action, answers] of OPERATIONS) {
  test(`${method} ${path} is ${id}`, () => {
    const operation = paths[path]?.[method]
    assert.equal(operation?.operationId, id)
    assert.equal(operation?.['x-kubernetes-action'], action)
    const given = Object.entries(operation?.responses as Record<string, Answer>).flatMap(
      ([code, { content }]) => {
        const { $ref, type } = content?.['application/json'].schema ?? {}
        return content === undefined ? [] : [[code, $ref?.split('.').at(-1) ?? type]]
      },
    )
    assert.deepEqual(Object.fromEntries(given), answers)
  })
}

interface Answer {
  readonly content?: { readonly 'application/json': { schema: { $ref?: string; type?: string } } }
}

test('no two operations have one name', () => {
  const names = Object.values(paths).flatMap(path =>
    Object.values(path).flatMap(({ operationId }) => operationId ?? []),
  )
  assert.equal(new Set(names).size, names.length)
})
