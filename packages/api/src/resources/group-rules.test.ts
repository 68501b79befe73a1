// What is refused of objects of the smaller groups, in upstream's words: one object with many mistakes, and what each
// of them is told.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { create, find, update } from './rehearsal.ts'

const GROUPS: Readonly<Record<string, string>> = {
  endpointslices: 'discovery.k8s.io',
  flowschemas: 'flowcontrol.apiserver.k8s.io',
  prioritylevelconfigurations: 'flowcontrol.apiserver.k8s.io',
  ingresses: 'networking.k8s.io',
  ingressclasses: 'networking.k8s.io',
  ipaddresses: 'networking.k8s.io',
  servicecidrs: 'networking.k8s.io',
  csidrivers: 'storage.k8s.io',
  csinodes: 'storage.k8s.io',
  storageclasses: 'storage.k8s.io',
  volumeattachments: 'storage.k8s.io',
  volumeattributesclasses: 'storage.k8s.io',
}
const kind = (resource: string) => find(resource, GROUPS[resource] ?? '')

const limited = (fields: JsonObject): JsonObject => ({
  spec: { type: 'Limited', limited: { limitResponse: { type: 'Reject' }, ...fields } },
})
const queuing = (fields: JsonObject): JsonObject =>
  limited({ limitResponse: { type: 'Queue', queuing: fields } })
const flow = (rule: JsonObject): JsonObject => ({
  spec: { priorityLevelConfiguration: { name: 'workload-low' }, rules: [rule] },
})
const everyone = { subjects: [{ kind: 'Group', group: { name: 'all' } }] }
const slice = (type: string, ...addresses: string[]): JsonObject => ({
  addressType: type,
  endpoints: [{ addresses }],
})
const ADDRESS = 'endpoints[0].addresses'

const REFUSED: readonly (readonly [resource: string, fields: JsonObject, errors: string[]])[] = [
  [
    'endpointslices',
    slice('IPv4', '192.168.01.1', '127.0.0.9', 'fd00::1', 'here'),
    [
      `${ADDRESS}[0]: Invalid value: "192.168.01.1": must not have leading 0s`,
      `${ADDRESS}[1]: Invalid value: "127.0.0.9": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
      `${ADDRESS}: Invalid value: "fd00::1": must be an IPv4 address`,
      `${ADDRESS}[3]: Invalid value: "here": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
    ],
  ],
  [
    'endpointslices',
    slice('IPv6', 'FD00::A', '::', '::ffff:10.0.0.1'),
    [
      `${ADDRESS}[0]: Invalid value: "FD00::A": must be in canonical form ("fd00::a")`,
      `${ADDRESS}[1]: Invalid value: "::": may not be unspecified (::)`,
      `${ADDRESS}[2]: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address`,
    ],
  ],
  [
    'endpointslices',
    {
      addressType: 'FQDN',
      endpoints: [{ addresses: ['host'], hints: { forZones: [{ name: 'z' }, { name: 'z' }] } }],
      ports: [{ name: 'web', port: 1 }, { name: 'web' }],
    },
    [
      'ports[1].name: Duplicate value: "web"',
      `${ADDRESS}[0]: Invalid value: "host": should be a domain with at least two segments separated by dots`,
      'endpoints[0].hints.forZones[1].name: Duplicate value: "z"',
    ],
  ],
  [
    'ingresses',
    {
      metadata: { annotations: { 'kubernetes.io/ingress.class': 'old' } },
      spec: {
        ingressClassName: 'new',
        defaultBackend: { resource: { kind: 'Bucket', name: 'a/b' } },
        rules: [{ http: { paths: [{ path: '/up/..', pathType: 'Exact', backend: {} }] } }],
      },
    },
    [
      `spec.defaultBackend.resource.name: Invalid value: "a/b": may not contain '/'`,
      `spec.rules[0].http.paths[0].path: Invalid value: "/up/..": cannot end with '/..'`,
      'spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required',
      'annotations.kubernetes.io/ingress.class: Invalid value: "old": must match `ingressClassName` when both are specified',
    ],
  ],
  [
    'ingressclasses',
    { spec: { controller: 'example.org/c', parameters: { kind: 'K', name: 'n', namespace: 'x' } } },
    ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
  ],
  ['ipaddresses', { metadata: { name: '10.7.7.7' } }, ['spec.parentRef: Required value']],
  [
    'servicecidrs',
    { spec: { cidrs: ['10.64.0.0/16', '10.65.0.1/16'] } },
    [
      'spec.cidrs[1]: Invalid value: "10.65.0.1/16": must not have bits set beyond the prefix length',
      'spec.cidrs: Invalid value: ["10.64.0.0/16","10.65.0.1/16"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    ],
  ],
  ['servicecidrs', { spec: { cidrs: ['fd00:0:1::/48'] } }, []],
  [
    'servicecidrs',
    { spec: { cidrs: ['fd00:0:1::1/64', '10.1.2.128/25'] } },
    [
      'spec.cidrs[0]: Invalid value: "fd00:0:1::1/64": must not have bits set beyond the prefix length',
    ],
  ],
  [
    'csidrivers',
    {
      spec: {
        tokenRequests: [{ audience: 'a' }, { audience: 'a' }],
        volumeLifecycleModes: ['Odd'],
      },
    },
    [
      'spec.tokenRequests[1].audience: Duplicate value: "a"',
      'spec.volumeLifecycleModes: Unsupported value: "Odd": supported values: "Persistent", "Ephemeral"',
    ],
  ],
  [
    'csinodes',
    { spec: { drivers: [{ name: 'd.example.org', nodeID: '', allocatable: { count: -2 } }] } },
    [
      'spec.drivers[0].nodeID: Required value',
      'spec.drivers[0].allocatable.count: Invalid value: -2: must be greater than or equal to 0',
    ],
  ],
  [
    'storageclasses',
    { provisioner: '', parameters: { '': 'v' }, reclaimPolicy: 'Sell' },
    [
      'provisioner: Required value',
      'parameters: Invalid value: "": field can not be empty.',
      'reclaimPolicy: Unsupported value: "Sell": supported values: "Delete", "Retain"',
    ],
  ],
  [
    'volumeattachments',
    { spec: { attacher: 'a.example.org', nodeName: 'node-1', source: {} } },
    [
      'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    ],
  ],
  [
    'volumeattributesclasses',
    { driverName: 'd.example.org' },
    ['parameters: Required value: must contain at least one key/value pair'],
  ],
  [
    'prioritylevelconfigurations',
    queuing({ queues: 8, handSize: 9, queueLengthLimit: 1 }),
    [
      'spec.limited.limitResponse.queuing.handSize: Invalid value: 9: should not be greater than queues (8)',
    ],
  ],
  [
    'prioritylevelconfigurations',
    limited({ lendablePercent: 120 }),
    ['spec.limited.lendablePercent: Invalid value: 120: must be between 0 and 100, inclusive'],
  ],
  [
    'prioritylevelconfigurations',
    { spec: { type: 'Exempt' } },
    [`spec.type: Invalid value: "Exempt": must be 'Exempt' if and only if \`name\` is 'exempt'`],
  ],
  [
    'flowschemas',
    flow({ ...everyone, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/a/*/b'] }] }),
    [
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "/a/*/b": wildcard can only do suffix matching',
    ],
  ],
  [
    'flowschemas',
    flow({
      subjects: [{ kind: 'User', group: { name: 'g' } }],
      resourceRules: [
        { verbs: ['stroll'], apiGroups: ['*'], resources: ['*'], clusterScope: true },
      ],
    }),
    [
      "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
      "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
      'spec.rules[0].resourceRules[0].verbs: Unsupported value: ["stroll"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"',
    ],
  ],
]

for (const [index, [resource, fields, expected]] of REFUSED.entries()) {
  test(`${resource}, case ${index}: every mistake is told`, async () => {
    const { errors } = await create(kind(resource), fields)
    assert.deepEqual(errors, expected)
  })
}

test('a generation of an EndpointSlice counts its labels too, but not its annotations', async () => {
  const slices = kind('endpointslices')
  const { obj } = await create(slices, slice('IPv4', '10.3.3.3'))
  assert.equal(obj.metadata.generation, 1)
  const changed = (metadata: JsonObject) =>
    update(slices, obj, {
      ...slice('IPv4', '10.3.3.3'),
      metadata: { ...obj.metadata, ...metadata },
    })
  assert.equal((await changed({ annotations: { a: 'b' } })).obj.metadata.generation, 1)
  assert.equal((await changed({ labels: { a: 'b' } })).obj.metadata.generation, 2)
})

test('a ServiceCIDR may gain a family and nothing else', async () => {
  const ranges = kind('servicecidrs')
  const { obj } = await create(ranges, { spec: { cidrs: ['10.64.0.0/16'] } })
  const both = await update(ranges, obj, { spec: { cidrs: ['10.64.0.0/16', 'fd00::/112'] } })
  assert.deepEqual(both.errors, [])
  const other = await update(ranges, obj, { spec: { cidrs: ['10.66.0.0/16'] } })
  assert.deepEqual(other.errors, [
    'spec.cidrs[0]: Invalid value: "10.66.0.0/16": field is immutable',
  ])
})

test('a class of volume attributes gets no finalizer that nothing would take off', async () => {
  const fields = { driverName: 'd.example.org', parameters: { iops: '100' } }
  const { obj } = await create(kind('volumeattributesclasses'), fields)
  assert.equal(obj.metadata.finalizers, undefined)
})
