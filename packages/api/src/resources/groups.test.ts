// Rules of the other groups: what is filled in and refused of the manifests people write.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, type KubeObject, StatusError } from '@podless/apimachinery'
import { circumstances, create, find, make, row, update } from './rehearsal.ts'

const workload = (labels: Record<string, string> = { app: 'x' }): JsonObject => ({
  selector: { matchLabels: { app: 'x' } },
  template: {
    metadata: { labels },
    spec: { containers: [{ name: 'c', image: 'nginx:1' }] },
  },
})

test('a Deployment is filled in down to its containers', async () => {
  const { obj, errors } = await create(find('deployments', 'apps'), { spec: workload() })
  assert.deepEqual(errors, [])
  const spec = obj.spec as JsonObject
  assert.equal(spec.replicas, 1)
  assert.equal(spec.progressDeadlineSeconds, 600)
  assert.deepEqual(spec.strategy, {
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' },
  })
  assert.deepEqual(((spec.template as JsonObject).spec as JsonObject).containers, [
    {
      name: 'c',
      image: 'nginx:1',
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy: 'IfNotPresent',
      resources: {},
    },
  ])
  assert.deepEqual(row(find('deployments', 'apps'), obj).slice(0, 4), ['a', '0/1', 0, 0])
})

test('a Deployment must select its own pods, and keep doing so', async () => {
  const deployments = find('deployments', 'apps')
  const other = await create(deployments, { spec: workload({ app: 'y' }) })
  assert.deepEqual(other.errors, [
    'spec.template.metadata.labels: Invalid value: {"app":"y"}: `selector` does not match template `labels`',
  ])
  const none = await create(deployments, { spec: {} })
  assert.deepEqual(none.errors, [
    'spec.selector: Required value',
    'spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`',
    'spec.template.spec.containers: Required value',
  ])
  const { obj: live } = await create(deployments, { spec: workload() })
  const moved = { ...workload({ app: 'x', b: 'c' }), selector: { matchLabels: { b: 'c' } } }
  const { errors } = await update(deployments, live, { spec: moved })
  assert.deepEqual(errors, [
    'spec.selector: Invalid value: {"matchLabels":{"b":"c"}}: field is immutable',
  ])
})

test('/scale reads and writes spec.replicas', async () => {
  const deployments = find('deployments', 'apps')
  const { obj } = await create(deployments, { spec: { ...workload(), replicas: 3 } })
  const scale = deployments.subresources.get('scale')
  assert.ok(scale?.type === 'virtual')
  const body = scale.get?.(obj, circumstances())
  assert.deepEqual(
    [body?.spec, body?.status],
    [{ replicas: 3 }, { replicas: 0, selector: 'app=x' }],
  )
  const scaleKind = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'a' } }
  const next = scale.update?.({ ...scaleKind, spec: { replicas: 5 } }, obj, circumstances())
  assert.equal(((next as KubeObject).spec as JsonObject).replicas, 5)
  assert.throws(
    () => scale.update?.({ ...scaleKind, spec: { replicas: -1 } }, obj, circumstances()),
    StatusError,
  )
})

test('a HorizontalPodAutoscaler survives the way from v1 to v2 and back', () => {
  const v1 = find('horizontalpodautoscalers', 'autoscaling', 'v1')
  const sent = make(v1, {
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'd' },
      minReplicas: 1,
      maxReplicas: 4,
      targetCPUUtilizationPercentage: 60,
    },
    status: { currentReplicas: 0, desiredReplicas: 0 },
  })
  const stored = structuredClone(sent)
  v1.onStore?.(stored)
  assert.equal(stored.apiVersion, 'autoscaling/v2')
  assert.deepEqual((stored.spec as JsonObject).metrics, [
    {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
    },
  ])
  v1.onRead?.(stored, 'autoscaling/v2')
  assert.deepEqual(stored, sent)
})

const webhook = (over: JsonObject): JsonObject => ({
  name: 'a.example.com',
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
  clientConfig: { url: 'https://example.com/x' },
  rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
  ...over,
})
const REGISTRATION = 'admissionregistration.k8s.io'

test('a webhook gets its defaults', async () => {
  const { obj, errors } = await create(find('mutatingwebhookconfigurations', REGISTRATION), {
    webhooks: [webhook({ clientConfig: { service: { name: 's', namespace: 'n' } } })],
  })
  assert.deepEqual(errors, [])
  const [hook] = obj.webhooks as JsonObject[]
  assert.deepEqual(hook?.clientConfig, { service: { name: 's', namespace: 'n', port: 443 } })
  assert.equal(hook?.failurePolicy, 'Fail')
  assert.equal(hook?.timeoutSeconds, 10)
  assert.equal(hook?.reinvocationPolicy, 'Never')
  assert.deepEqual(hook?.namespaceSelector, {})
  assert.equal(((hook as JsonObject).rules as JsonObject[])[0]?.scope, '*')
})

test('webhooks are refused in the words of the reference', async () => {
  const rule = (over: JsonObject) => ({
    rules: [
      {
        operations: ['CREATE'],
        apiGroups: [''],
        apiVersions: ['v1'],
        resources: ['pods'],
        ...over,
      },
    ],
  })
  const cases: [JsonObject, string[]][] = [
    [
      { admissionReviewVersions: [] },
      ['webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1'],
    ],
    [
      { admissionReviewVersions: ['v7'] },
      [
        'webhooks[0].admissionReviewVersions: Invalid value: ["v7"]: must include at least one of v1, v1beta1',
      ],
    ],
    [
      { sideEffects: '' },
      ['webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun'],
    ],
    [
      { name: 'short' },
      [
        'webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots',
      ],
    ],
    [
      { clientConfig: {} },
      ['webhooks[0].clientConfig: Required value: exactly one of url or service is required'],
    ],
    [
      { timeoutSeconds: 31 },
      [
        'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds',
      ],
    ],
    [
      rule({ operations: ['READ'] }),
      [
        'webhooks[0].rules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
      ],
    ],
    [
      rule({ operations: ['*', 'CREATE'], apiGroups: ['*', 'x'], resources: ['*', 'pods'] }),
      [
        'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
        'webhooks[0].rules[0].apiGroups: Invalid value: ["*","x"]: if \'*\' is present, must not specify other API groups',
        'webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources without subresources',
      ],
    ],
  ]
  for (const [over, expected] of cases) {
    const { errors } = await create(find('validatingwebhookconfigurations', REGISTRATION), {
      webhooks: [webhook(over)],
    })
    assert.deepEqual(errors, expected)
  }
  const twice = await create(find('validatingwebhookconfigurations', REGISTRATION), {
    webhooks: [webhook({}), webhook({})],
  })
  assert.deepEqual(twice.errors, ['webhooks[1].name: Duplicate value: "a.example.com"'])
})

test('policies say what they check, in expressions that compile', async () => {
  const policies = find('validatingadmissionpolicies', REGISTRATION)
  const matchConstraints = {
    resourceRules: [
      { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] },
    ],
  }
  const good = await create(policies, {
    spec: {
      matchConstraints,
      variables: [{ name: 'n', expression: 'has(object.data) ? object.data.size() : 0' }],
      validations: [{ expression: 'variables.n <= 2', message: 'at most two keys' }],
    },
  })
  assert.deepEqual(good.errors, [])
  const none = await create(policies, { spec: { matchConstraints } })
  assert.deepEqual(none.errors, [
    'spec.validations: Required value: validations or auditAnnotations must contain at least one item',
    'spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item',
  ])
  const broken = await create(policies, {
    spec: { matchConstraints, validations: [{ expression: 'object.data.size( > 1' }] },
  })
  assert.match(
    broken.errors[0] ?? '',
    /^spec\.validations\[0\]\.expression: Invalid value: "object\.data\.size\( > 1": compilation failed: /,
  )
  const binding = await create(find('validatingadmissionpolicybindings', REGISTRATION), {
    spec: { validationActions: ['Deny', 'Warn'] },
  })
  assert.equal(binding.errors.length, 2)
  assert.equal(binding.errors[0], 'spec.policyName: Required value')
})

const REQUEST = Buffer.from(
  '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n',
).toString('base64')
const csrs = () => find('certificatesigningrequests', 'certificates.k8s.io')
const CSR_SPEC = { request: REQUEST, signerName: 'example.com/signer', usages: ['client auth'] }

test('a CertificateSigningRequest records who really asked', async () => {
  const { obj, errors } = await create(csrs(), {
    spec: { ...CSR_SPEC, username: 'root', uid: '0' },
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(obj.spec, { ...CSR_SPEC, username: 'ann', groups: ['system:authenticated'] })
  const bad = await create(csrs(), { spec: { request: 'AAAA' } })
  assert.deepEqual(bad.errors, [
    'spec.request: Invalid value: "AAAA": PEM block type must be CERTIFICATE REQUEST',
    'spec.usages: Required value',
    'spec.signerName: Required value',
  ])
})

test('approving is a door of its own, for those who may, and for good', async () => {
  const { obj: live } = await create(csrs(), { spec: CSR_SPEC })
  const approve = {
    status: { conditions: [{ type: 'Approved', status: 'True' }], certificate: 'AA' },
  }
  const { obj: approved, errors } = await update(csrs(), live, approve, { door: 'approval' })
  assert.deepEqual(errors, [])
  const now = '2024-05-01T12:00:00Z'
  assert.deepEqual(approved.status, {
    conditions: [
      { type: 'Approved', status: 'True', lastUpdateTime: now, lastTransitionTime: now },
    ],
  })
  const nobody = circumstances({ allowed: () => false })
  assert.throws(
    () => csrs().strategy.authorizeWrite?.(approved, live, nobody),
    /user not permitted to approve requests with signerName "example.com\/signer"/,
  )
  const domain = circumstances({ allowed: (_verb, name) => name === 'example.com/*' })
  csrs().strategy.authorizeWrite?.(approved, live, domain)
  const denied = { status: { conditions: [{ type: 'Denied', status: 'True' }] } }
  const after = await update(csrs(), approved, denied, { door: 'approval' })
  assert.deepEqual(after.errors, [
    'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
  ])
})

test('an Ingress needs backends, hosts that are names, and absolute paths', async () => {
  const backend = { service: { name: 's', port: { number: 80 } } }
  const ingress = (rule: JsonObject) =>
    create(find('ingresses', 'networking.k8s.io'), { spec: { rules: [rule] } })
  const good = await ingress({
    host: '*.example.com',
    http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
  })
  assert.deepEqual(good.errors, [])
  const bad = await ingress({
    host: '1.2.3.4',
    http: { paths: [{ path: 'x', pathType: 'Prefix', backend: {} }] },
  })
  assert.deepEqual(bad.errors, [
    'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
    'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
    'spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required',
  ])
})

test('a CRD is filled in, and its name follows from its names', async () => {
  const crds = find('customresourcedefinitions', 'apiextensions.k8s.io')
  const spec = {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
    ],
  }
  const { obj, errors } = await create(crds, { metadata: { name: 'widgets.example.com' }, spec })
  assert.deepEqual(errors, [])
  assert.deepEqual((obj.status as JsonObject).storedVersions, ['v1'])
  assert.equal(((obj.spec as JsonObject).names as JsonObject).listKind, 'WidgetList')
  const wrong = await create(crds, { metadata: { name: 'w.example.com' }, spec })
  assert.equal(wrong.errors.length, 1)
})

test('a Job selects its own pods by its uid', async () => {
  const { obj, errors } = await create(find('jobs', 'batch'), {
    metadata: { uid: 'u' },
    spec: {
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  assert.deepEqual(errors, [])
  const spec = obj.spec as JsonObject
  assert.deepEqual(spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } })
  assert.equal(spec.backoffLimit, 6)
  const forever = await create(find('jobs', 'batch'), {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }] } } },
  })
  assert.deepEqual(forever.errors, [
    'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  ])
})
