// What is refused of pods and their templates, and what is only warned of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { create, find, make } from './rehearsal.ts'

const container = (more: JsonObject = {}): JsonObject => ({ name: 'web', image: 'shop:1', ...more })

async function errorsOf(more: JsonObject, spec: JsonObject = {}): Promise<string[]> {
  const { errors } = await create(find('pods'), {
    spec: { containers: [container(more)], ...spec },
  })
  return errors.map(text => text.replace('spec.containers[0].', ''))
}

test('variables have one source, which names what is there', async () => {
  const env = [
    { name: 'A=B', value: 'x' },
    { name: 'BOTH', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: 'FIELD', valueFrom: { fieldRef: { fieldPath: 'spec.color' } } },
    { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    { name: 'KEY', valueFrom: { secretKeyRef: { name: 'top' } } },
    { name: 'AMOUNT', valueFrom: { resourceFieldRef: { resource: 'limits.hugepages-2Mi' } } },
  ]
  assert.deepEqual(await errorsOf({ env, envFrom: [{ secretRef: {} }] }), [
    'env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
    'env[1].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    'env[2].valueFrom.fieldRef.fieldPath: Invalid value: "spec.color": error converting fieldPath: field label not supported: spec.color',
    'env[4].valueFrom.secretKeyRef.key: Required value',
    'envFrom[0].secretRef.name: Required value',
  ])
})

test('a request is not over its limit, and whole where nothing can be promised twice', async () => {
  const resources = {
    limits: { cpu: '2', 'example.com/chip': '3' },
    requests: { cpu: '2500m', 'example.com/chip': '2', 'example.com/lamp': '1' },
  }
  assert.deepEqual(await errorsOf({ resources }), [
    'resources.requests: Invalid value: "2500m": must be less than or equal to cpu limit of 2',
    'resources.requests: Invalid value: "2": must be equal to example.com/chip limit of 3',
    'resources.limits: Required value: Limit must be set for non overcommitable resources',
  ])
})

test('a probe has one handler, and only readiness counts successes', async () => {
  const grpc = { port: 9000 }
  const probes = {
    livenessProbe: { grpc, successThreshold: 3 },
    readinessProbe: { grpc, tcpSocket: { port: 'web' }, successThreshold: 3 },
    lifecycle: { preStop: {} },
  }
  assert.deepEqual(await errorsOf(probes), [
    'livenessProbe.successThreshold: Invalid value: 3: must be 1',
    'readinessProbe.grpc: Forbidden: may not specify more than 1 handler type',
    'lifecycle.preStop: Required value: must specify a handler type',
  ])
})

test('volumes have one source with what it needs, and mounts stay below them', async () => {
  const volumes = [
    { name: 'two', emptyDir: {}, nfs: { server: 'files', path: '/a' } },
    { name: 'up', hostPath: { path: '/a/../b' } },
    { name: 'keys', secret: { secretName: 'top', items: [{ key: 'a', path: '../a' }] } },
  ]
  const volumeMounts = [{ name: 'two', mountPath: '/two', subPath: '/etc' }]
  assert.deepEqual(await errorsOf({ volumeMounts }, { volumes }), [
    'spec.volumes[0].nfs: Forbidden: may not specify more than 1 volume type',
    'spec.volumes[1].hostPath.path: Invalid value: "/a/../b": must not contain \'..\'',
    'spec.volumes[2].secret.items[0].path: Invalid value: "../a": must not contain \'..\'',
    'volumeMounts.subPath: Invalid value: "/etc": must be a relative path',
  ])
})

test('wishes about nodes and neighbours make sense', async () => {
  const affinity = {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 500, podAffinityTerm: { topologyKey: 'zone' } },
      ],
    },
  }
  const tolerations = [{ key: 'gpu', operator: 'Exists', value: 'a', tolerationSeconds: 1 }]
  const topologySpreadConstraints = [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'Hope' }]
  const place = 'DuringSchedulingIgnoredDuringExecution'
  assert.deepEqual(await errorsOf({}, { affinity, tolerations, topologySpreadConstraints }), [
    `spec.affinity.nodeAffinity.required${place}.nodeSelectorTerms: Required value: must have at least one node selector term`,
    `spec.affinity.podAntiAffinity.preferred${place}[0].weight: Invalid value: 500: must be in the range 1-100`,
    'spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
    'spec.tolerations[0].operator: Invalid value: "a": value must be empty when `operator` is \'Exists\'',
    'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Hope": supported values: "DoNotSchedule", "ScheduleAnyway"',
  ])
})

test('ports of the host go to one container, and privileges are not given and taken', async () => {
  const ports = [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 81, hostPort: 8080 },
  ]
  const securityContext = { privileged: true, allowPrivilegeEscalation: false, runAsUser: -5 }
  const [taken, user, both, ...more] = await errorsOf({ ports, securityContext })
  assert.equal(
    taken?.replace('spec.containers[0].', ''),
    user &&
      'securityContext.runAsUser: Invalid value: -5: must be between 0 and 2147483647, inclusive',
  )
  assert.match(String(user), /cannot set `allowPrivilegeEscalation` to false and `privileged`/)
  assert.equal(both, 'ports[1].hostPort: Duplicate value: "TCP//8080"')
  assert.deepEqual(more, [])
})

test('what is odd is stored and warned of', () => {
  const pods = find('pods')
  const ports = [
    { containerPort: 80, hostIP: '10.1.1.1' },
    { containerPort: 80, hostIP: '10.1.1.1' },
  ]
  const env = [
    { name: 'A', value: '1' },
    { name: 'A', value: '2' },
  ]
  const spec = { containers: [container({ ports, env })], imagePullSecrets: [{ name: '' }] }
  const texts = pods.strategy.warnings?.(make(pods, { metadata: { name: 'a.b' }, spec }), undefined)
  assert.deepEqual(
    texts?.map(text => text.split(': ').slice(0, 2).join(': ').slice(0, 74)),
    [
      "metadata.name: this is used in the Pod's hostname, which can result in sur",
      'spec.imagePullSecrets[0].name: invalid empty name ""',
      'spec.containers[0].env[1]: hides previous definition of "A", which may be ',
      'spec.containers[0].ports[0]: hostIP set without hostPort',
      'spec.containers[0].ports[1]: hostIP set without hostPort',
      'spec.containers[0].ports[1]: duplicate port definition with spec.container',
    ],
  )
})

test('pods of a StatefulSet mount its claims', async () => {
  const { errors } = await create(find('statefulsets', 'apps'), {
    spec: {
      selector: { matchLabels: { app: 'db' } },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }],
      template: {
        metadata: { labels: { app: 'db' } },
        spec: { containers: [container({ volumeMounts: [{ name: 'data', mountPath: '/d' }] })] },
      },
    },
  })
  assert.deepEqual(errors, [])
})
