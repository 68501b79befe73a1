// Dynamic resource allocation: what is filled in, refused and shown of claims, templates, classes and slices.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, JsonValue } from '@podless/apimachinery'
import { circumstances, create, find, make, row, update } from './rehearsal.ts'

const claims = () => find('resourceclaims', 'resource.k8s.io')
const templates = () => find('resourceclaimtemplates', 'resource.k8s.io')
const classes = () => find('deviceclasses', 'resource.k8s.io')
const slices = () => find('resourceslices', 'resource.k8s.io')

const exactly = (more: JsonObject = {}): JsonObject => ({ deviceClassName: 'gpu', ...more })
const devices = (more: JsonObject = {}): JsonObject => ({
  requests: [{ name: 'gpu', exactly: exactly() }],
  ...more,
})
const selector = (expression: string): JsonObject => ({
  spec: { selectors: [{ cel: { expression } }] },
})
const slice = (more: JsonObject = {}): JsonObject => ({
  spec: {
    driver: 'gpu.example.com',
    pool: { name: 'node-a', generation: 1, resourceSliceCount: 1 },
    nodeName: 'node-a',
    ...more,
  },
})

test('a request is for one device, unless it is for all', async () => {
  const requests: JsonValue = [
    { name: 'one', exactly: exactly({ tolerations: [{ key: 'k' }] }) },
    { name: 'all', exactly: exactly({ allocationMode: 'All' }) },
    { name: 'some', firstAvailable: [{ name: 'big', ...exactly() }] },
  ]
  const { obj, errors } = await create(claims(), { spec: { devices: { requests } } })
  assert.deepEqual(errors, [])
  assert.deepEqual(obj.spec, {
    devices: {
      requests: [
        {
          name: 'one',
          exactly: exactly({
            tolerations: [{ key: 'k', operator: 'Equal' }],
            allocationMode: 'ExactCount',
            count: 1,
          }),
        },
        { name: 'all', exactly: exactly({ allocationMode: 'All' }) },
        {
          name: 'some',
          firstAvailable: [{ name: 'big', ...exactly({ allocationMode: 'ExactCount', count: 1 }) }],
        },
      ],
    },
  })
})

test('a claim says what is wrong with its requests, and with what refers to them', async () => {
  const both = { name: 'b', exactly: exactly(), firstAvailable: [{ name: 'x', ...exactly() }] }
  const odd = exactly({
    deviceClassName: '',
    allocationMode: 'All',
    count: 2,
    tolerations: [
      { key: 'a b', operator: 'Exists', value: 'v', effect: 'Never' },
      { operator: 'Is' },
    ],
  })
  const requests: JsonValue = [
    { name: 'a' },
    both,
    { name: 'B', exactly: odd },
    { name: 'a', exactly: exactly({ allocationMode: 'Most' }) },
  ]
  const constraints: JsonValue = [
    { requests: ['a', 'a', 'c', 'b/x', 'b/y', 'a/b/c'], matchAttribute: 'model' },
    {},
  ]
  const config: JsonValue = [{}, { opaque: { driver: '', parameters: [1] } }]
  const { errors } = await create(claims(), {
    spec: { devices: { requests, constraints, config } },
  })
  const aRequest =
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
  const choice = 'exactly one of `exactly` or `firstAvailable` is required'
  const key = `Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`
  const label = `Invalid value: "B": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`
  const [at, where] = ['spec.devices.requests', 'spec.devices.constraints']
  assert.deepEqual(errors, [
    `${at}[0]: Required value: ${choice}`,
    `${at}[1]: Invalid value: null: ${choice}, but multiple fields are set`,
    `${at}[2].name: ${label}`,
    `${at}[2].exactly.deviceClassName: Required value`,
    `${at}[2].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'`,
    `${at}[2].exactly.tolerations[0].key: ${key}`,
    `${at}[2].exactly.tolerations[0].value: Invalid value: "v": must be empty for operator \`Exists\``,
    `${at}[2].exactly.tolerations[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "None"`,
    `${at}[2].exactly.tolerations[1].operator: Unsupported value: "Is": supported values: "Equal", "Exists"`,
    `${at}[3].exactly.allocationMode: Unsupported value: "Most": supported values: "All", "ExactCount"`,
    `${at}[3]: Duplicate value: "a"`,
    `${where}[0].requests[2]: Invalid value: "c": ${aRequest}`,
    `${where}[0].requests[4]: Invalid value: "b/y": ${aRequest}`,
    `${where}[0].requests[5]: Invalid value: "a/b/c": ${aRequest}`,
    `${where}[0].requests[1]: Duplicate value: "a"`,
    `${where}[0].matchAttribute: Invalid value: "model": a fully qualified name must be a domain and a name separated by a slash`,
    `${where}[1]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`,
    'spec.devices.config[0].opaque: Required value',
    'spec.devices.config[1].opaque.driver: Required value',
    'spec.devices.config[1].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
  ])
})

test('a selector is an expression about a device, of a type it has', async () => {
  const good = [
    "device.driver == 'gpu.example.com' && !device.allowMultipleAllocations",
    "device.attributes['gpu.example.com'].healthy",
    "cel.bind(gpu, device.attributes['gpu.example.com'], gpu.cores > 4 && gpu.model == 'a')",
    "device.capacity['gpu.example.com'].memory.compareTo(quantity('10Gi')) >= 0",
    "device.attributes['gpu.example.com'].version.isGreaterThan(semver('1.2.3'))",
    "device.capacity['gpu.example.com'].memory == quantity('1Gi')",
    "device.attributes['gpu.example.com'].model.find('a+') == 'aa'",
  ]
  for (const expression of good) {
    assert.deepEqual((await create(classes(), selector(expression))).errors, [], expression)
  }
  const bad: readonly (readonly [expression: string, why: RegExp])[] = [
    ["device.capacity['a'].memory > 5", /no matching overload for '_>_'.*Quantity, int/],
    ['device.model', /compilation failed: ERROR: <input>:1:7: undefined field 'model'/],
    ['device.driver', /must evaluate to bool or the unknown type, not string$/],
    ["device.attributes['a'].b.matches('[')", /compilation failed|instantiation failed/],
    ["device.attributes['a'].b.all(x, x)", /expression of type 'any' cannot be range/],
    [
      'device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, a + b + c + d == ""))))',
      /Forbidden: too complex, exceeds cost limit$/,
    ],
    ['x'.repeat(10_241), /Too long: may not be more than 10240 bytes$/],
  ]
  for (const [expression, why] of bad) {
    const { errors } = await create(classes(), selector(expression))
    assert.equal(errors.length, 1, expression)
    assert.match(errors[0] ?? '', /^spec\.selectors\[0\]\.cel\.expression: /)
    assert.match(errors[0] ?? '', why)
  }
  const { errors } = await create(classes(), { spec: { selectors: [{}] } })
  assert.deepEqual(errors, ['spec.selectors[0].cel: Required value'])
})

test('what an update of a class leaves alone is not looked at again', async () => {
  const live = make(classes(), selector('device.gone'))
  const kept = { spec: { ...(live.spec as JsonObject), extendedResourceName: 'cpu' } }
  assert.deepEqual((await update(classes(), live, kept)).errors, [
    'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name',
  ])
  assert.equal((await update(classes(), live, selector('device.lost'))).errors.length, 1)
})

test('a spec of a claim or a template does not change, and is shown as upstream decodes it', async () => {
  const live = make(claims(), { spec: { devices: devices() } })
  claims().strategy.default?.(live)
  const changed = { spec: { devices: { requests: [{ name: 'b', exactly: exactly() }] } } }
  const { errors } = await update(claims(), live, changed)
  const request = {
    Name: 'b',
    Exactly: {
      ...{ DeviceClassName: 'gpu', Selectors: null, AllocationMode: 'ExactCount', Count: 1 },
      ...{ AdminAccess: null, Tolerations: null, Capacity: null },
    },
    FirstAvailable: null,
  }
  const shown = { Devices: { Requests: [request], Constraints: null, Config: null } }
  assert.deepEqual(errors, [`spec: Invalid value: ${JSON.stringify(shown)}: field is immutable`])
  assert.deepEqual((await update(claims(), live, { spec: { devices: devices() } })).errors, [])
  const template = make(templates(), { spec: { spec: { devices: devices() } } })
  templates().strategy.default?.(template)
  assert.match(
    (await update(templates(), template, { spec: { spec: changed.spec } })).errors.join(),
    /^spec: Invalid value: .*: field is immutable$/,
  )
})

test('claims of a template have labels and annotations, and no names', async () => {
  const metadata = { labels: { 'a b': 'c' }, uid: 'x', finalizers: ['f'] }
  const { errors } = await create(templates(), { spec: { metadata, spec: { devices: devices() } } })
  assert.deepEqual(errors.slice(1), [
    'spec.metadata.uID: Forbidden: cannot be set',
    'spec.metadata.finalizers: Forbidden: cannot be set',
  ])
  assert.match(errors[0] ?? '', /^spec\.metadata\.labels: Invalid value: "a b": /)
})

test('only namespaces that are marked get admin access', async () => {
  const requests: JsonValue = [{ name: 'a', exactly: exactly({ adminAccess: true }) }]
  const spec = { devices: { requests } }
  assert.deepEqual((await create(claims(), { spec })).errors, [
    'spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace',
  ])
  const plain = circumstances()
  const labels = { 'resource.kubernetes.io/admin-access': 'true' }
  const marked = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns', labels } }
  const ctx = { ...plain, services: { ...plain.services, lookup: () => marked } }
  assert.deepEqual((await create(claims(), { spec }, ctx)).errors, [])
})

const place = { driver: 'gpu.example.com', pool: 'node-a', device: 'gpu-0' }
const allocated = (more: JsonObject = {}): JsonObject => ({
  spec: { devices: devices() },
  status: { allocation: { devices: { results: [{ request: 'gpu', ...place }] } }, ...more },
})
const user = { resource: 'pods', name: 'a', uid: 'u1' }

test('an allocation is made once; devices leave the status with it', async () => {
  const live = make(claims(), { spec: { devices: devices() } })
  const first = await update(claims(), live, allocated({ devices: [place], reservedFor: [user] }), {
    door: 'status',
  })
  assert.deepEqual(first.errors, [])
  const other = allocated()
  const results = [{ request: 'gpu', ...place, device: 'gpu-1' }]
  other.status = { allocation: { devices: { results } } }
  const changed = await update(claims(), first.obj, other, { door: 'status' })
  assert.match(changed.errors.join(), /^status\.allocation: Invalid value: .*: field is immutable$/)
  const freed = await update(
    claims(),
    first.obj,
    { status: { devices: [place] } },
    { door: 'status' },
  )
  assert.deepEqual(freed.errors, [])
  assert.deepEqual(freed.obj.status, {})
})

test('a status names devices and users as they are', async () => {
  const live = make(claims(), { spec: { devices: devices() } })
  const status = {
    reservedFor: [{ ...user, name: '' }, user],
    devices: [
      {
        ...place,
        pool: 'a/',
        shareID: '1234',
        conditions: [{ type: 'Ready', status: 'Yes', reason: '-' }],
        data: [],
        networkData: { ips: ['10.0.0.1', '10.0.0.01/8', '10.0.0.1/8'] },
      },
    ],
  }
  const { errors } = await update(claims(), live, { status }, { door: 'status' })
  const heads = errors.map(text => text.slice(0, 60))
  const at = 'status.devices[0]'
  const expected = [
    'status.reservedFor[0].name: Required value',
    'status.reservedFor[1]: Duplicate value: "u1"',
    `${at}.pool: Invalid value: "": a lowercase RFC 1123 subdomain`,
    `${at}.shareID: Invalid value: "1234": error validating uid: invalid UUID length: 4`,
    `${at}: Invalid value: {"Driver":"gpu.example.com","Pool":"a/","Device":"gpu-0","ShareID":"1234"}: must be`,
    `${at}.conditions[0].status: Unsupported value: "Yes": supported`,
    `${at}.conditions[0].lastTransitionTime: Required value`,
    `${at}.conditions[0].reason: Invalid value: "-": a condition reason`,
    `${at}.data: Invalid value: "<value omitted>": must be a valid JSON object`,
    `${at}.networkData.ips[0]: Invalid value: "10.0.0.1": must be a valid address in CIDR form`,
    `${at}.networkData.ips[1]: Invalid value: "10.0.0.01/8": must be in canonical form ("10.0.0.1/8")`,
    'status.reservedFor: Forbidden: may not be specified when `allocated` is not set',
  ]
  assert.deepEqual(
    heads,
    expected.map((text, index) => (errors[index]?.startsWith(text) ? heads[index] : text)),
  )
})

test('who allocates and who reports devices needs a permission of its own', async () => {
  const live = make(claims(), { spec: { devices: devices() } })
  const sent = allocated({ devices: [place] })
  const nobody = circumstances({ allowed: () => false })
  const refused = await update(claims(), live, sent, { door: 'status', ctx: nobody })
  const who = 'User "ann" cannot'
  assert.deepEqual(refused.errors, [
    `status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: resourceclaims.resource.k8s.io is forbidden: ${who} update resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope`,
    `status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[arbitrary-node:update]" permission: resourceclaims.resource.k8s.io "gpu.example.com" is forbidden: ${who} arbitrary-node:update resource "resourceclaims/driver" in API group "resource.k8s.io" in the namespace "ns"`,
  ])
  const driver = circumstances({ allowed: verb => verb === 'associated-node:update' })
  const extra = { 'authentication.kubernetes.io/node-name': ['node-a'] }
  const account = { name: 'system:serviceaccount:ns:driver', groups: [], extra }
  const nodeSelector = {
    nodeSelectorTerms: [
      { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-a'] }] },
    ],
  }
  const onNode = allocated({
    allocation: { devices: { results: [{ request: 'gpu', ...place }] }, nodeSelector },
  })
  const before = (await update(claims(), live, onNode, { door: 'status' })).obj
  const reported = { status: { ...(before.status as JsonObject), devices: [place] } }
  const ctx = { ...driver, user: account }
  assert.deepEqual((await update(claims(), before, reported, { door: 'status', ctx })).errors, [])
  const elsewhere = { ...ctx, user: { ...account, extra: {} } }
  const { errors } = await update(claims(), before, reported, { door: 'status', ctx: elsewhere })
  assert.equal(errors.length, 1)
})

test('a slice is for one choice of nodes, and its devices have proper names and values', async () => {
  const bad = slice({
    nodeName: 'node-a',
    allNodes: true,
    pool: { name: '', generation: -1 },
    devices: [
      {
        name: 'A',
        nodeName: 'x',
        attributes: { 'a-b': { int: 1 }, '/c': {}, version: { version: '1.2' } },
        capacity: { memory: { value: '1Gi', requestPolicy: {} } },
        taints: [{ key: 'k' }],
        bindingConditions: ['Ready'],
      },
    ],
  })
  const { errors } = await create(slices(), bad)
  const at = 'spec.devices[0]'
  const expected = [
    'spec.pool.name: Required value',
    'spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero',
    'spec.pool.generation: Invalid value: -1: must be greater than or equal to zero',
    'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of',
    `${at}.name: Invalid value: "A": a lowercase RFC 1123 label`,
    `${at}.attributes: Invalid value: "a-b": a valid C identifier`,
    `${at}.attributes: Invalid value: "": the domain must not be empty`,
    `${at}.attributes[/c]: Invalid value: "": exactly one value must be specified`,
    `${at}.attributes[version].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0`,
    `${at}.capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true`,
    `${at}.taints[0].effect: Required value`,
    `${at}: Invalid value: null: \`nodeName\`, \`nodeSelector\` and`,
    `${at}.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required`,
  ]
  assert.equal(errors.length, expected.length, errors.join('\n'))
  errors.forEach((text, index) => {
    assert.ok(text.startsWith(expected[index] ?? '-'), text)
  })
})

test('the policy of a shared capacity fits the capacity', async () => {
  const policies: readonly (readonly [policy: JsonObject, errors: string[]])[] = [
    [{ default: '2Gi', validValues: ['1Gi', '2Gi'] }, []],
    [{ default: '2Gi', validRange: { min: '1Gi', max: '4Gi', step: '1Gi' } }, []],
    [{ validValues: ['1Gi'] }, ['default: Required value: required when validValues is defined']],
    [
      { default: '3Gi', validValues: ['2Gi', '1Gi', '9Gi'] },
      [
        'validValues[1]: Invalid value: "1Gi": values must be sorted in ascending order',
        'validValues[2]: Invalid value: "9Gi": option is larger than capacity value: 8Gi',
        'validValues: Invalid value: "3Gi": default value is not valid according to the requestPolicy',
      ],
    ],
    [
      { default: '1Gi', validRange: { min: '2Gi', max: '9Gi', step: '2Gi' } },
      [
        'validRange.min: Invalid value: "1Gi": default is less than min: 2Gi',
        'validRange.max: Invalid value: "9Gi": max is larger than capacity value: 8Gi',
        'validRange.step: Invalid value: "1Gi": value is not a multiple of a given step (2Gi) from (2Gi)',
        'validRange.step: Invalid value: "9Gi": value is not a multiple of a given step (2Gi) from (2Gi)',
      ],
    ],
  ]
  for (const [requestPolicy, expected] of policies) {
    const capacity = { memory: { value: '8Gi', requestPolicy } }
    const device = { name: 'a', allowMultipleAllocations: true, capacity }
    const { errors } = await create(slices(), slice({ devices: [device] }))
    const at = 'spec.devices[0].capacity[memory].requestPolicy.'
    assert.deepEqual(
      errors,
      expected.map(text => at + text),
    )
  }
})

test('a taint gets its time, and what 1.36 has not switched on is left out', async () => {
  const device = {
    name: 'a',
    taints: [{ key: 'k', effect: 'NoSchedule' }],
    attributes: { a: { int: 1, ints: [1] } },
    nodeAllocatableResources: {},
  }
  const { obj, errors } = await create(
    slices(),
    slice({ devices: [device], skipNodeOperations: [] }),
  )
  assert.deepEqual(errors, [])
  assert.deepEqual(obj.spec, {
    ...(slice().spec as JsonObject),
    devices: [
      {
        name: 'a',
        taints: [{ key: 'k', effect: 'NoSchedule', timeAdded: '2024-05-01T12:00:00Z' }],
        attributes: { a: { int: 1 } },
      },
    ],
  })
})

test('tables show how a claim stands, and whose devices a slice lists', () => {
  const at = (status: JsonObject, metadata: JsonObject = {}) =>
    row(claims(), make(claims(), { status, metadata }))[1]
  assert.equal(at({}), 'pending')
  assert.equal(at({ allocation: {} }), 'allocated')
  const deletionTimestamp = '2024-05-01T12:00:00Z'
  assert.equal(at({}, { deletionTimestamp }), 'deleted')
  assert.equal(
    at({ allocation: {}, reservedFor: [user] }, { deletionTimestamp }),
    'deleted,allocated,reserved',
  )
  const shown = row(slices(), make(slices(), slice()))
  assert.deepEqual(shown.slice(0, 4), ['a', 'node-a', 'gpu.example.com', 'node-a'])
})
