// The labels of Pod Security from outside: who is refused, who is warned, what is recorded, and which labels are odd.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isObject, type JsonObject } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../../test/harness/server-for-file.ts'
import { textAt } from '../../resources/reading.ts'

const lines: string[] = []
const { admin: client } = await serverForFile({
  audit: { policy: { rules: [{ level: 'Metadata' }] }, write: line => void lines.push(line) },
})

const send = (method: string, path: string, body: JsonObject): Promise<ApiAnswer> =>
  client.send({
    method,
    path,
    body,
    headers: method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {},
  })

const labelsOf = (modes: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(modes).map(([mode, value]) => [`pod-security.kubernetes.io/${mode}`, value]),
  )

/** The path of a new namespace. */
async function namespaceWith(name: string, modes: JsonObject): Promise<string> {
  const made = await send('POST', '/api/v1/namespaces', {
    metadata: { name, labels: labelsOf(modes) },
  })
  assert.equal(made.status, 201)
  return `/api/v1/namespaces/${name}`
}

async function relabel(namespace: string, modes: JsonObject): Promise<ApiAnswer> {
  await seen(namespace)
  const answer = await send('PATCH', namespace, { metadata: { labels: labelsOf(modes) } })
  await seen(namespace)
  return answer
}

/** A read of the latest state waits for the cache, out of which admission reads. */
const seen = (namespace: string): Promise<ApiAnswer> => client.send({ path: namespace })

const warningsOf = ({ headers }: ApiAnswer): string[] => {
  const texts = String(headers.warning ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)
  return Array.from(texts, ([, text = '']) => text.replace(/\\(.)/g, '$1'))
}

const CONTAINER = { name: 'c', image: 'i' }
const SAFE = {
  ...CONTAINER,
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  },
}
const HOST = { hostPID: true, containers: [SAFE] }
const HOST_TEXT = 'host namespaces (hostPID=true)'
const podOf = (name: string, spec: JsonObject): JsonObject => ({ metadata: { name }, spec })

test('a pod is refused by what is enforced, and warned of the rest', async () => {
  const enforced = await namespaceWith('enforced', { enforce: 'baseline', warn: 'restricted' })
  const refused = await send('POST', `${enforced}/pods`, podOf('p', HOST))
  assert.equal(
    refused.json().message,
    `pods "p" is forbidden: violates PodSecurity "baseline:latest": ${HOST_TEXT}`,
  )
  assert.deepEqual(warningsOf(refused), [])
  const bare = {
    containers: [{ ...SAFE, securityContext: { ...SAFE.securityContext, runAsNonRoot: null } }],
  }
  const warned = await send('POST', `${enforced}/pods`, podOf('p', bare))
  assert.equal(warned.status, 201)
  assert.deepEqual(warningsOf(warned), [
    'would violate PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
  ])
})

const SILENT: readonly (readonly [string, JsonObject])[] = [
  ['no label at all', {}],
  ['audit alone', { audit: 'restricted' }],
  ['warnings switched off', { warn: 'privileged' }],
  ['a version without a level', { 'warn-version': 'v1.20' }],
]
for (const [index, [what, modes]] of SILENT.entries()) {
  test(`with ${what} a pod is neither refused nor warned of`, async () => {
    const namespace = await namespaceWith(`silent-${index}`, modes)
    const made = await send('POST', `${namespace}/pods`, podOf('p', HOST))
    assert.deepEqual([made.status, warningsOf(made)], [201, []])
  })
}

const template = { metadata: { labels: { a: 'b' } }, spec: HOST }
const job = { metadata: {}, spec: { ...HOST, restartPolicy: 'Never' } }
const selected = { selector: { matchLabels: { a: 'b' } }, template }
const WORKLOADS: readonly (readonly [group: string, plural: string, body: JsonObject])[] = [
  ['api/v1', 'podtemplates', { template }],
  ['api/v1', 'replicationcontrollers', { spec: { selector: { a: 'b' }, template } }],
  ['apis/apps/v1', 'deployments', { spec: selected }],
  ['apis/apps/v1', 'replicasets', { spec: selected }],
  ['apis/apps/v1', 'daemonsets', { spec: selected }],
  ['apis/apps/v1', 'statefulsets', { spec: { ...selected, serviceName: 's' } }],
  ['apis/batch/v1', 'jobs', { spec: { template: job } }],
  [
    'apis/batch/v1',
    'cronjobs',
    { spec: { schedule: '@daily', jobTemplate: { spec: { template: job } } } },
  ],
]
for (const [group, plural, body] of WORKLOADS) {
  test(`${plural} that make forbidden pods are stored with a warning`, async () => {
    const name = `with-${plural}`
    await namespaceWith(name, { enforce: 'baseline', 'enforce-version': 'v1.30' })
    const path = `/${group}/namespaces/${name}/${plural}`
    const made = await send('POST', path, { ...body, metadata: { name: 'w' } })
    const expected = [`would violate PodSecurity "baseline:v1.30": ${HOST_TEXT}`]
    assert.deepEqual([made.status, warningsOf(made)], [201, expected])
    const changed = await send('PATCH', `${path}/w`, { metadata: { labels: { x: 'y' } } })
    assert.deepEqual([changed.status, warningsOf(changed)], [200, expected])
  })
}

test('subresources of workloads are not looked at', async () => {
  await namespaceWith('scaled', { warn: 'baseline' })
  const path = '/apis/apps/v1/namespaces/scaled/deployments'
  await send('POST', path, { metadata: { name: 'd' }, spec: selected })
  const scaled = await send('PATCH', `${path}/d/scale`, { spec: { replicas: 2 } })
  assert.deepEqual([scaled.status, warningsOf(scaled)], [200, []])
})

test('a pod that was there may change unless something else is to run in it', async () => {
  const namespace = await namespaceWith('updated', {})
  const old = `${namespace}/pods/old`
  await send('POST', `${namespace}/pods`, podOf('old', HOST))
  await send('POST', `${namespace}/pods`, podOf('fine', { containers: [SAFE] }))
  await relabel(namespace, { enforce: 'restricted' })
  const image = { spec: { containers: [{ ...SAFE, image: 'j' }] } }
  const added = { spec: { ephemeralContainers: [{ ...CONTAINER, name: 'e' }] } }
  const safely = { spec: { ephemeralContainers: [{ ...SAFE, name: 'e' }] } }
  const codes = [
    await send('PATCH', old, { metadata: { labels: { x: 'y' } } }),
    await send('PATCH', `${old}/status`, { status: { phase: 'Running' } }),
    await send('PATCH', old, image),
    await send('PATCH', `${old}/ephemeralcontainers`, safely),
    await send('PATCH', `${namespace}/pods/fine`, image),
    await send('PATCH', `${namespace}/pods/fine/ephemeralcontainers`, added),
    await send('PATCH', `${namespace}/pods/fine/ephemeralcontainers`, safely),
  ].map(({ status }) => status)
  assert.deepEqual(codes, [200, 200, 403, 403, 200, 403, 200])
})

const NO_LEVEL = 'must be one of privileged, baseline, restricted'
const NO_VERSION = 'must be "latest" or "v1.x"'
const ODD: readonly (readonly [mode: string, value: string, why: string | undefined])[] = [
  ['enforce', 'Restricted', NO_LEVEL],
  ['audit', '', NO_LEVEL],
  ['warn', 'strict', NO_LEVEL],
  ['enforce-version', '1.20', NO_VERSION],
  ['audit-version', 'v1.01', NO_VERSION],
  ['warn-version', 'v2.0', NO_VERSION],
  ['warn-version', 'v1.9223372036854775808', NO_VERSION],
  ['warn-version', 'v1.9223372036854775807', undefined],
  ['enforce-version', 'latest', undefined],
]
for (const [mode, value, why] of ODD) {
  test(`a namespace with ${mode}=${value} is ${why === undefined ? 'made' : 'refused'}`, async () => {
    const answer = await send('POST', '/api/v1/namespaces?dryRun=All', {
      metadata: { name: 'odd', labels: labelsOf({ [mode]: value }) },
    })
    if (why === undefined) return assert.equal(answer.status, 201)
    const field = `metadata.labels[pod-security.kubernetes.io/${mode}]`
    const cause = `Invalid value: ${JSON.stringify(value)}: ${why}`
    const { code, message, details } = answer.json()
    assert.equal(message, `Namespace "odd" is invalid: ${field}: ${cause}`)
    assert.equal(code, 422)
    assert.deepEqual(isObject(details) && details.causes, [
      { reason: 'FieldValueInvalid', message: cause, field },
    ])
  })
}

test('who raises the enforced level is told of the pods that break it, by what they break', async () => {
  const namespace = await namespaceWith('raised', {})
  const path = `${namespace}/pods`
  const made = await send('POST', path, podOf('b', HOST))
  await send('POST', path, podOf('z', { hostPID: true, containers: [SAFE], hostIPC: true }))
  await send('POST', path, podOf('fine', { containers: [SAFE] }))
  const unsafe = {
    containers: [
      { ...CONTAINER, securityContext: { ...SAFE.securityContext, runAsNonRoot: null } },
    ],
  }
  await send('POST', path, podOf('y', unsafe))
  const owner = {
    apiVersion: 'v1',
    kind: 'Pod',
    name: 'b',
    uid: textAt(made.json(), 'metadata.uid'),
  }
  await send('POST', path, {
    metadata: { name: 'a', ownerReferences: [{ ...owner, controller: true }] },
    spec: HOST,
  })
  const told = (level: string): string =>
    `existing pods in namespace "raised" violate the new PodSecurity enforce level "${level}"`
  const STEPS: readonly (readonly [JsonObject, string[]])[] = [
    [
      { enforce: 'restricted' },
      [
        told('restricted:latest'),
        'a (and 2 other pods): host namespaces',
        'y: runAsNonRoot != true',
      ],
    ],
    [{ warn: 'baseline' }, []],
    [{ enforce: 'baseline' }, []],
    [
      { 'enforce-version': 'v1.20' },
      [told('baseline:v1.20'), 'a (and 2 other pods): host namespaces'],
    ],
    [{ enforce: 'privileged', 'enforce-version': 'latest' }, []],
  ]
  for (const [modes, warnings] of STEPS) {
    assert.deepEqual(warningsOf(await relabel(namespace, modes)), warnings, JSON.stringify(modes))
  }
})

test('the audit log says what is enforced and what would be refused', async () => {
  const namespace = await namespaceWith('audited', { audit: 'baseline', enforce: 'baseline' })
  await send('POST', `${namespace}/pods`, podOf('recorded', HOST))
  await namespaceWith('unlabelled', {})
  await send('POST', '/api/v1/namespaces/unlabelled/pods', podOf('recorded', HOST))
  const annotationsIn = (where: string) =>
    lines
      .map(line => JSON.parse(line) as JsonObject)
      .filter(event => textAt(event, 'stage') === 'ResponseComplete')
      .filter(event => textAt(event, 'requestURI') === `/api/v1/namespaces/${where}/pods`)
      .flatMap(({ annotations }) => (isObject(annotations) ? Object.entries(annotations) : []))
      .filter(([key]) => key.startsWith('pod-security'))
  assert.deepEqual(Object.fromEntries(annotationsIn('audited')), {
    'pod-security.kubernetes.io/enforce-policy': 'baseline:latest',
    'pod-security.kubernetes.io/audit-violations': `would violate PodSecurity "baseline:latest": ${HOST_TEXT}`,
  })
  assert.deepEqual(Object.fromEntries(annotationsIn('unlabelled')), {
    'pod-security.kubernetes.io/enforce-policy': 'privileged:latest',
  })
})
