import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtinResources } from '../resources/index.ts'
import { amountsOf, growthOf, usageFrom, usageOf } from './resource-usage.ts'

function resourceOf(group: string, plural: string): Resource {
  const found = builtinResources().find(({ gvr }) => gvr.group === group && gvr.resource === plural)
  assert.ok(found !== undefined)
  return found
}

const CASES: readonly [string, string, JsonObject, JsonObject][] = [
  ['', 'secrets', {}, { 'count/secrets': '1', secrets: '1' }],
  ['apps', 'deployments', {}, { 'count/deployments.apps': '1' }],
  [
    '',
    'services',
    { spec: { type: 'LoadBalancer', ports: [{ port: 1 }, { port: 2 }] } },
    {
      'count/services': '1',
      services: '1',
      'services.nodeports': '2',
      'services.loadbalancers': '1',
    },
  ],
  [
    '',
    'persistentvolumeclaims',
    { spec: { storageClassName: 'fast', resources: { requests: { storage: '1024Mi' } } } },
    {
      'count/persistentvolumeclaims': '1',
      persistentvolumeclaims: '1',
      'requests.storage': '1Gi',
      'fast.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
      'fast.storageclass.storage.k8s.io/requests.storage': '1Gi',
    },
  ],
  ['', 'pods', { status: { phase: 'Succeeded' } }, { 'count/pods': '1' }],
]

for (const [group, plural, fields, expected] of CASES) {
  test(`${plural} ${JSON.stringify(fields)} uses ${Object.keys(expected).join(', ')}`, () => {
    const object = { apiVersion: 'v1', kind: 'X', metadata: {}, ...fields } as KubeObject
    assert.deepEqual(amountsOf(usageOf(resourceOf(group, plural), object)), expected)
  })
}

test('containers add up, and an init container counts when it needs more than all of them', () => {
  const needs = (cpu: string): JsonObject => ({ resources: { requests: { cpu } } })
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {},
    spec: {
      containers: [needs('100m'), needs('300m')],
      initContainers: [needs('1'), needs('50m')],
    },
  } as unknown as KubeObject
  const { cpu, 'requests.cpu': requests } = amountsOf(usageOf(resourceOf('', 'pods'), pod))
  assert.deepEqual([cpu, requests], ['1', '1'])
})

test('only what grows is charged', () => {
  const growth = growthOf(usageFrom({ a: '3', b: '1', c: '2' }), usageFrom({ a: '1', b: '2' }))
  assert.deepEqual(amountsOf(growth), { a: '2', c: '2' })
})
