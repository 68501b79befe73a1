// The core group's rules, case by case as recorded from kube-apiserver where it was recorded.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '@podless/apimachinery'
import { NodePortAllocator } from '../allocation/node-ports.ts'
import type { ServiceAddresses } from '../resource.ts'
import { circumstances, create, find, make, row, update } from './rehearsal.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

test('a Secret merges stringData into data and defaults its type', async () => {
  const { obj, errors } = await create(find('secrets'), {
    stringData: { user: 'root' },
    data: { user: base64('ignored'), pass: base64('x') },
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(obj.data, { user: base64('root'), pass: base64('x') })
  assert.equal(obj.type, 'Opaque')
  assert.equal(obj.stringData, undefined)
})

test('each type of Secret demands its keys', async () => {
  const cases: [string, Record<string, string>, string[]][] = [
    ['kubernetes.io/tls', { 'tls.crt': 'x' }, ['data[tls.key]: Required value']],
    ['kubernetes.io/tls', { 'tls.crt': 'x', 'tls.key': 'y' }, []],
    [
      'kubernetes.io/basic-auth',
      {},
      ['data[username]: Required value', 'data[password]: Required value'],
    ],
    [
      'kubernetes.io/dockerconfigjson',
      { '.dockerconfigjson': '{nope' },
      [
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character \'n\' looking for beginning of object key string',
      ],
    ],
    ['kubernetes.io/dockerconfigjson', { '.dockerconfigjson': '{"auths":{}}' }, []],
    ['kubernetes.io/ssh-auth', {}, ['data[ssh-privatekey]: Required value']],
    ['example.com/any', {}, []],
  ]
  for (const [type, stringData, expected] of cases) {
    const { errors } = await create(find('secrets'), { type, stringData })
    assert.deepEqual(errors, expected, type)
  }
})

test('Secrets and ConfigMaps are bounded, and frozen once immutable', async () => {
  const secrets = find('secrets')
  const big = 'x'.repeat(1_048_577)
  const tooBig = await create(secrets, { stringData: { big } })
  assert.deepEqual(tooBig.errors, ['data: Too long: may not be more than 1048576 bytes'])
  const maps = find('configmaps')
  assert.deepEqual((await create(maps, { data: { big } })).errors, [
    '[]: Too long: may not be more than 1048576 bytes',
  ])
  const { obj: live } = await create(maps, { immutable: true, data: { a: 'b' } })
  const changed = await update(maps, live, { data: { a: 'c' } })
  assert.deepEqual(changed.errors, [
    'immutable: Forbidden: field is immutable when `immutable` is set',
    'data: Forbidden: field is immutable when `immutable` is set',
  ])
  const { obj: secret } = await create(secrets, {})
  assert.deepEqual((await update(secrets, secret, { type: 'other' })).errors, [
    'type: Invalid value: "other": field is immutable',
  ])
})

test('keys of a ConfigMap are checked, and stand in one of its two maps', async () => {
  const { errors } = await create(find('configmaps'), {
    data: { 'a/b': 'x', k: '1' },
    binaryData: { k: base64('1') },
  })
  assert.equal(errors.length, 2)
  assert.match(errors[0] ?? '', /^data\[a\/b\]: Invalid value: "a\/b": a valid config key must/)
  assert.equal(errors[1], 'data[k]: Invalid value: "k": duplicate of key present in binaryData')
})

test('a Namespace gets its label, phase and finalizer, and keeps them through the main door', async () => {
  const namespaces = find('namespaces')
  const { obj: live } = await create(namespaces, { metadata: { name: 'n1', labels: { a: 'b' } } })
  assert.deepEqual(live.metadata.labels, { a: 'b', 'kubernetes.io/metadata.name': 'n1' })
  assert.deepEqual(live.status, { phase: 'Active' })
  assert.deepEqual(live.spec, { finalizers: ['kubernetes'] })
  const sent = {
    metadata: { name: 'n1', labels: { 'kubernetes.io/metadata.name': 'wrong' } },
    spec: { finalizers: [] },
    status: { phase: 'Terminating' },
  }
  const main = await update(namespaces, live, sent)
  assert.deepEqual(main.obj.spec, live.spec)
  assert.deepEqual(main.obj.status, live.status)
  assert.deepEqual(main.obj.metadata.labels, { 'kubernetes.io/metadata.name': 'n1' })
  const finalized = await update(namespaces, live, sent, { door: 'finalize' })
  assert.deepEqual(finalized.obj.spec, { finalizers: [] })
  assert.deepEqual(finalized.obj.status, live.status)
  const wrong = await update(namespaces, live, sent, { door: 'status' })
  assert.equal(wrong.errors.length, 1)
  assert.deepEqual(namespaces.strategy.validateName?.('has.dot', false), ['must not contain dots'])
})

test('a ServiceAccount keeps only the names of its secrets', async () => {
  const accounts = find('serviceaccounts')
  const sent = { secrets: [{ name: 's', kind: 'Secret', namespace: 'other' }] }
  const { obj } = await create(accounts, sent)
  assert.deepEqual(obj.secrets, [{ name: 's' }])
  assert.deepEqual((await update(accounts, obj, sent)).obj.secrets, [{ name: 's' }])
})

function addressPool(): ServiceAddresses & { readonly taken: Set<string> } {
  const taken = new Set<string>()
  return {
    taken,
    allocate: (family, ip) => {
      if (family === 'IPv6') return { error: 'IPv6 is not configured on this cluster' }
      const wanted = ip ?? `10.0.0.${taken.size + 1}`
      if (taken.has(wanted)) return { error: 'provided IP is already allocated' }
      taken.add(wanted)
      return { ip: wanted }
    },
    release: ip => void taken.delete(ip),
    nodePorts: new NodePortAllocator(() => 0),
  }
}

const services = () => find('services')
const PORTS = [{ port: 80 }]

test('a Service gets defaults and an address', async () => {
  const addresses = addressPool()
  const { obj, errors } = await create(
    services(),
    { spec: { ports: PORTS, selector: { app: 'x' } } },
    circumstances({ addresses }),
  )
  assert.deepEqual(errors, [])
  assert.deepEqual(obj.spec, {
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    selector: { app: 'x' },
    sessionAffinity: 'None',
    type: 'ClusterIP',
    internalTrafficPolicy: 'Cluster',
    ipFamilyPolicy: 'SingleStack',
    ipFamilies: ['IPv4'],
    clusterIPs: ['10.0.0.1'],
    clusterIP: '10.0.0.1',
  })
  assert.deepEqual(obj.status, { loadBalancer: {} })
  assert.deepEqual(row(services(), obj).slice(0, 5), [
    'a',
    'ClusterIP',
    '10.0.0.1',
    '<none>',
    '80/TCP',
  ])
  services().strategy.release?.(obj, circumstances({ addresses }))
  assert.equal(addresses.taken.size, 0)
})

test('a taken address is 422, and a dry run reserves nothing', async () => {
  const addresses = addressPool()
  const spec = { ports: PORTS, clusterIP: '10.0.0.9' }
  const dry = circumstances({ addresses, dryRun: true })
  await create(services(), { spec }, dry)
  assert.equal(addresses.taken.size, 0)
  const ctx = circumstances({ addresses })
  await create(services(), { spec }, ctx)
  await assert.rejects(create(services(), { spec }, ctx), (error: unknown) => {
    assert.ok(error instanceof StatusError)
    assert.equal(
      error.message,
      'Service "a" is invalid: spec.clusterIPs: Invalid value: ["10.0.0.9"]: failed to allocate IP 10.0.0.9: provided IP is already allocated',
    )
    return true
  })
})

test('headless and external Services take no address', async () => {
  const headless = await create(services(), { spec: { clusterIP: 'None', selector: { a: 'b' } } })
  assert.deepEqual(headless.errors, [])
  const external = await create(services(), {
    spec: { type: 'ExternalName', externalName: 'db.example.com' },
  })
  assert.deepEqual(external.errors, [])
  assert.deepEqual(external.obj.spec, {
    type: 'ExternalName',
    externalName: 'db.example.com',
    sessionAffinity: 'None',
  })
})

test('an update that leaves the address out keeps it, one that changes it is refused', async () => {
  const ctx = circumstances({ addresses: addressPool() })
  const { obj: live } = await create(services(), { spec: { ports: PORTS } }, ctx)
  const kept = await update(services(), live, { spec: { ports: [{ port: 81 }] } }, { ctx })
  assert.deepEqual(kept.errors, [])
  assert.deepEqual(kept.obj.spec && (kept.obj.spec as { clusterIP: string }).clusterIP, '10.0.0.1')
  const moved = await update(
    services(),
    live,
    { spec: { ports: PORTS, clusterIP: '10.0.0.7', clusterIPs: ['10.0.0.7'] } },
    { ctx },
  )
  assert.deepEqual(moved.errors, [
    'spec.clusterIPs[0]: Invalid value: ["10.0.0.7"]: may not change once set',
  ])
})

test('what is wrong with a Service is named field by field', async () => {
  const ctx = circumstances({ addresses: addressPool() })
  const { errors } = await create(
    services(),
    {
      spec: {
        ports: [
          { port: 80, name: 'x' },
          { port: 0, protocol: 'ICMP', nodePort: 3 },
          { port: 80, name: 'x' },
        ],
        type: 'Magic',
        sessionAffinity: 'Cookie',
      },
    },
    ctx,
  )
  assert.deepEqual(errors, [
    'spec.ports[1].name: Required value',
    'spec.ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive',
    'spec.ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    'spec.ports[1].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
    'spec.ports[2].name: Duplicate value: "x"',
    'spec.ports[2]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
    'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"',
    'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
  ])
  const none = await create(services(), { spec: {} }, ctx)
  assert.deepEqual(none.errors, ['spec.ports: Required value'])
})

test('an Event is one object under two names', () => {
  const view = find('events', 'events.k8s.io')
  const sent = make(view, {
    eventTime: '2024-01-01T00:00:00.123456Z',
    reportingController: 'example.com/c',
    reportingInstance: 'i',
    action: 'Did',
    reason: 'Because',
    regarding: { kind: 'ConfigMap', namespace: 'ns', name: 'x' },
    note: 'n',
    type: 'Warning',
  })
  assert.deepEqual(view.strategy.validate?.(sent, circumstances()), [])
  const stored = structuredClone(sent)
  view.onStore?.(stored)
  assert.equal(stored.apiVersion, 'v1')
  assert.equal(stored.message, 'n')
  assert.equal(stored.lastTimestamp, null)
  for (const obj of [sent, stored]) {
    const select = (field: string) => find('events').selectableFields.get(field)?.(obj)
    assert.equal(select('involvedObject.name'), 'x')
    assert.equal(select('type'), 'Warning')
  }
  const read = structuredClone(stored)
  view.onRead?.(read, 'v1')
  assert.equal(read.note, 'n')
  assert.deepEqual(read.regarding, sent.regarding)
  assert.equal(read.deprecatedLastTimestamp, null)
  assert.equal(read.reportingComponent, undefined)
})

test('Events are about something in their own namespace', async () => {
  const core = await create(find('events'), { involvedObject: { namespace: 'elsewhere' } })
  assert.deepEqual(core.errors, [
    'involvedObject.namespace: Invalid value: "elsewhere": does not match event.namespace',
  ])
  const view = await create(find('events', 'events.k8s.io'), { type: 'Normal' })
  assert.deepEqual(view.errors, [
    'involvedObject.namespace: Invalid value: "": does not match event.namespace',
    'eventTime: Required value',
  ])
})

test('quotas and leases refuse numbers that mean nothing', async () => {
  const quota = await create(find('resourcequotas'), {
    spec: { hard: { 'bad resource!': '1', pods: '-1', secrets: '1500m', 'count/things': '2' } },
  })
  assert.deepEqual(quota.errors.slice(1), [
    'spec.hard[bad resource!]: Invalid value: "bad resource!": must be a standard resource for quota',
    'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
    'spec.hard[secrets]: Invalid value: "1500m": must be an integer',
  ])
  const lease = await create(find('leases', 'coordination.k8s.io'), {
    spec: { leaseDurationSeconds: -1, leaseTransitions: -2 },
  })
  assert.deepEqual(lease.errors, [
    'spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0',
    'spec.leaseTransitions: Invalid value: -2: must be greater than or equal to 0',
  ])
})
