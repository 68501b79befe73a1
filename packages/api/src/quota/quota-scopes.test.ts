// Quotas with scopes, and what pods must say under a quota.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, KubeObject } from '@podless/apimachinery'
import { missingAmounts } from './quota-constraints.ts'
import { isInScopes } from './quota-scopes.ts'

const objectOf = (spec: JsonObject): KubeObject => ({
  apiVersion: 'v1',
  kind: 'X',
  metadata: {},
  spec,
})
const coreResource = (resource: string) => ({ gvr: { group: '', version: 'v1', resource } })
const pods = coreResource('pods')
const holds = (quota: JsonObject, spec: JsonObject, resource = pods): boolean =>
  isInScopes(objectOf(quota), resource, objectOf(spec))

const busy = { name: 'a', resources: { requests: { cpu: '5m' } } }
const idle = { name: 'b', resources: { requests: { cpu: '0' }, limits: { 'x.io/gpu': '1' } } }
const abroad = { podAffinityTerm: { namespaceSelector: {} }, weight: 1 }

const SCOPES: readonly [scope: string, inside: JsonObject, outside: JsonObject][] = [
  ['Terminating', { activeDeadlineSeconds: 0 }, {}],
  ['NotTerminating', {}, { activeDeadlineSeconds: 9 }],
  ['BestEffort', { containers: [idle] }, { containers: [idle, busy] }],
  ['NotBestEffort', { initContainers: [busy] }, { containers: [idle] }],
  ['NotBestEffort', { resources: { limits: { memory: '1Mi' } } }, {}],
  ['PriorityClass', { priorityClassName: 'low' }, {}],
  [
    'CrossNamespacePodAffinity',
    {
      affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [abroad] } },
    },
    { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] } } },
  ],
]

for (const [scope, inside, outside] of SCOPES) {
  test(`a quota of scope ${scope} counts ${JSON.stringify(inside)}`, () => {
    assert.equal(holds({ scopes: [scope] }, inside), true)
    assert.equal(holds({ scopes: [scope] }, outside), false)
  })
}

const OPERATORS: readonly [operator: string, values: string[], counted: string[]][] = [
  ['In', ['low'], ['low']],
  ['NotIn', ['low'], ['', 'high']],
  ['Exists', [], ['low', 'high']],
  ['DoesNotExist', [], ['']],
]

for (const [operator, values, counted] of OPERATORS) {
  test(`a scope selector ${operator} ${values.join()} counts ${JSON.stringify(counted)}`, () => {
    for (const [scopeName, field, kind] of [
      ['PriorityClass', 'priorityClassName', 'pods'],
      ['VolumeAttributesClass', 'volumeAttributesClassName', 'persistentvolumeclaims'],
    ] as const) {
      const quota = { scopeSelector: { matchExpressions: [{ scopeName, operator, values }] } }
      const found = ['', 'low', 'high'].filter(name =>
        holds(quota, name === '' ? {} : { [field]: name }, coreResource(kind)),
      )
      assert.deepEqual(found, counted, scopeName)
    }
  })
}

test('all scopes have to hold, and kinds without scopes are in none', () => {
  const both = { scopes: ['Terminating', 'BestEffort'] }
  assert.equal(holds(both, { activeDeadlineSeconds: 1, containers: [idle] }), true)
  assert.equal(holds(both, { containers: [idle] }), false)
  assert.equal(holds({ scopes: ['NotTerminating'] }, {}, coreResource('secrets')), false)
  assert.equal(holds({}, {}, coreResource('secrets')), true)
})

test('containers say what a quota limits, unless the pod says it for all', () => {
  const pod = { containers: [busy, idle], initContainers: [{ name: 'i' }] }
  const limited = ['requests.cpu', 'limits.memory', 'pods', 'requests.storage']
  assert.equal(
    missingAmounts(pods, objectOf(pod), limited),
    'must specify limits.memory for: a,b,i; requests.cpu for: i',
  )
  const whole = { ...pod, resources: { limits: { memory: '1Mi' } } }
  assert.equal(missingAmounts(pods, objectOf(whole), limited), undefined)
  assert.equal(missingAmounts(pods, objectOf(pod), ['pods']), undefined)
  assert.equal(missingAmounts(coreResource('services'), objectOf(pod), limited), undefined)
})
