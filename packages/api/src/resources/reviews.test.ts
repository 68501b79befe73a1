import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type JsonObject, type KubeObject, StatusError } from '@podless/apimachinery'
import { RbacAuthorizer } from '../auth/authorize.ts'
import type { RuleContext, Services, TokenService, UserInfo } from '../resource.ts'
import { authenticationResources } from './authentication.ts'
import { authorizationResources } from './authorization.ts'
import { serviceAccountToken } from './token-request.ts'

const NOW = new Date('2026-03-01T12:00:00.900Z')
const ann: UserInfo = { name: 'ann', groups: ['system:authenticated'] }
const OWN = ['https://own']

type Issued = Parameters<TokenService['issue']>[0]

function context(options: { user?: UserInfo; objects?: Record<string, KubeObject> } = {}) {
  const authorizer = new RbacAuthorizer()
  const rules = [
    { verbs: ['get', 'list'], apiGroups: [''], resources: ['configmaps'] },
    { verbs: ['get'], nonResourceURLs: ['/healthz'] },
  ]
  const base = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'r' } }
  authorizer.set({ ...base, kind: 'ClusterRole', rules })
  const subjects = [
    { kind: 'User', name: 'ann' },
    { kind: 'Group', name: 'team' },
  ]
  const roleRef = { kind: 'ClusterRole', name: 'r' }
  authorizer.set({ ...base, kind: 'ClusterRoleBinding', roleRef, subjects })
  const issued: Issued[] = []
  const unused = (): never => assert.fail('not used')
  const lookup: Services['lookup'] = (gvr, namespace, name) =>
    options.objects?.[`${gvr.resource}/${namespace}/${name}`]
  const tokens: TokenService = {
    audiences: OWN,
    issue: async request => {
      issued.push(request)
      return { token: 'a.b.c', expires: NOW }
    },
    review: async (token, audiences) =>
      token === 'good'
        ? {
            user: { ...ann, uid: 'u', extra: { k: ['v'] } },
            audiences: audiences.length === 0 ? OWN : audiences,
          }
        : { error: 'invalid bearer token' },
  }
  const ctx: RuleContext = {
    user: options.user ?? ann,
    verb: 'create',
    namespace: 'ns',
    dryRun: false,
    now: () => NOW,
    warn: unused,
    services: {
      lookup,
      list: unused,
      authorizer,
      tokens,
      serviceAddresses: {
        allocate: unused,
        release: unused,
        nodePorts: { allocate: unused, release: unused },
      },
    },
  }
  return { ctx, issued }
}

async function ask(
  kind: string,
  spec: JsonObject | undefined,
  options: { ctx?: RuleContext; metadata?: KubeObject['metadata'] } = {},
): Promise<KubeObject> {
  const resource = [...authenticationResources, ...authorizationResources].find(
    ({ names }) => names.kind === kind,
  )
  assert.ok(resource?.create !== undefined, kind)
  const { group, version } = resource.gvr
  const body = { apiVersion: `${group}/${version}`, kind, metadata: options.metadata ?? {} }
  const sent: KubeObject = spec === undefined ? body : { ...body, spec }
  return await resource.create(sent, options.ctx ?? context().ctx)
}

async function refusal(run: Promise<unknown>): Promise<StatusError['body']> {
  try {
    await run
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error))
    return error.body
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}

describe('virtual resources', () => {
  it('are create-only, have their schema, and keep it lazy', () => {
    for (const resource of [...authenticationResources, ...authorizationResources]) {
      assert.deepEqual(resource.verbs, ['create'])
      assert.ok(resource.schema.properties?.has('status'), resource.names.kind)
      const lazy = Object.getOwnPropertyDescriptor(resource, 'schema')?.get
      assert.equal(typeof lazy, 'function')
    }
    assert.ok(serviceAccountToken.schema.properties?.has('spec'))
  })
})

describe('SelfSubjectReview', () => {
  it('answers who asks', async () => {
    const user = { name: 'ann', uid: 'u', groups: ['g'], extra: { scope: ['view'] } }
    assert.deepEqual(await ask('SelfSubjectReview', undefined, { ctx: context({ user }).ctx }), {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
      metadata: { creationTimestamp: '2026-03-01T12:00:00Z' },
      status: {
        userInfo: { username: 'ann', uid: 'u', groups: ['g'], extra: { scope: ['view'] } },
      },
    })
  })
})

describe('TokenReview', () => {
  it('answers the user of a token and the audiences', async () => {
    const review = await ask('TokenReview', { token: 'good', audiences: ['istio-ca'] })
    assert.deepEqual(review.spec, { token: 'good', audiences: ['istio-ca'] })
    assert.deepEqual(review.status, {
      authenticated: true,
      user: { username: 'ann', uid: 'u', groups: ['system:authenticated'], extra: { k: ['v'] } },
      audiences: ['istio-ca'],
    })
  })

  it('answers what is wrong with one that does not hold', async () => {
    const { status } = await ask('TokenReview', { token: 'bad' })
    assert.deepEqual(status, { user: {}, error: 'invalid bearer token' })
  })

  it('wants a token', async () => {
    for (const spec of [{}, { token: '' }, { token: 7 }, undefined]) {
      const body = await refusal(ask('TokenReview', spec))
      assert.equal(body.code, 400)
      assert.equal(body.message, 'token is required for TokenReview in authentication')
    }
  })
})

describe('access reviews', () => {
  const get = { verb: 'get', resource: 'configmaps', namespace: 'ns' }
  const REASON = 'RBAC: allowed by ClusterRoleBinding "r" of ClusterRole "r" to '

  it('answer for the user that is named', async () => {
    const review = await ask('SubjectAccessReview', { user: 'ann', resourceAttributes: get })
    assert.deepEqual(review, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: { user: 'ann', resourceAttributes: get },
      status: { allowed: true, reason: `${REASON}User "ann"` },
    })
    const group = { user: 'zed', groups: ['team'], resourceAttributes: get }
    const byGroup = await ask('SubjectAccessReview', group)
    assert.deepEqual(byGroup.status, { allowed: true, reason: `${REASON}Group "team"` })
    const denied = { user: 'eve', resourceAttributes: get }
    assert.deepEqual((await ask('SubjectAccessReview', denied)).status, { allowed: false })
    const path = { user: 'ann', nonResourceAttributes: { path: '/healthz', verb: 'get' } }
    assert.deepEqual((await ask('SubjectAccessReview', path)).status, {
      allowed: true,
      reason: `${REASON}User "ann"`,
    })
  })

  it('answer for the one who asks', async () => {
    const spec = { resourceAttributes: get }
    const own = await ask('SelfSubjectAccessReview', spec)
    assert.deepEqual(own.status, { allowed: true, reason: `${REASON}User "ann"` })
    const ctx = context({ user: { name: 'nobody', groups: [] } }).ctx
    assert.deepEqual((await ask('SelfSubjectAccessReview', spec, { ctx })).status, {
      allowed: false,
    })
  })

  it('answer for the namespace they are made in', async () => {
    const spec = { user: 'ann', resourceAttributes: get }
    const local = await ask('LocalSubjectAccessReview', spec)
    assert.equal(local.metadata.namespace, 'ns')
    assert.deepEqual(local.status, { allowed: true, reason: `${REASON}User "ann"` })
    const message = async (fields: JsonObject, metadata = {}) =>
      (await refusal(ask('LocalSubjectAccessReview', { ...spec, ...fields }, { metadata }))).message
    const other = { resourceAttributes: { ...get, namespace: 'other' } }
    assert.equal(
      await message(other),
      '.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
    )
    assert.equal(
      await message(other, { namespace: 'other' }),
      'spec.resourceAttributes.namespace must match namespace: ns',
    )
    assert.match((await message({}, { name: 'x' })) ?? '', /must be empty except for namespace$/)
    const path = { path: '/x', verb: 'get' }
    const body = await refusal(
      ask('LocalSubjectAccessReview', { user: 'u', nonResourceAttributes: path }),
    )
    assert.deepEqual(body.details, {
      group: 'authorization.k8s.io',
      causes: [
        {
          reason: 'FieldValueInvalid',
          message: 'Invalid value: {"Path":"/x","Verb":"get"}: disallowed on this kind of request',
          field: 'spec.nonResourceAttributes',
        },
      ],
    })
  })

  it('want one kind of attributes, a subject and no metadata', async () => {
    const message = async (kind: string, spec: JsonObject, metadata = {}) => {
      const body = await refusal(ask(kind, spec, { metadata }))
      assert.equal(body.code, 422)
      return body.message?.replace('.authorization.k8s.io "" is invalid: ', '')
    }
    const sar = 'SubjectAccessReview'
    const both = {
      user: 'x',
      resourceAttributes: get,
      nonResourceAttributes: { path: '/x', verb: 'get' },
    }
    const combined =
      'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: cannot be specified in combination with resourceAttributes'
    assert.equal(await message(sar, both), combined)
    assert.equal(
      await message('SelfSubjectAccessReview', {
        resourceAttributes: {},
        nonResourceAttributes: {},
      }),
      combined.replace('/x', '').replace('"get"', '""'),
    )
    assert.equal(
      await message('SelfSubjectAccessReview', {}),
      'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    )
    assert.equal(
      await message(sar, { resourceAttributes: get }),
      'spec.user: Invalid value: "": at least one of user or group must be specified',
    )
    const named = { name: 'x', managedFields: [{ manager: 'm' }] }
    assert.equal(
      await message(sar, { user: 'u', resourceAttributes: get }, named),
      'metadata: Invalid value: {"name":"x","managedFields":[{"manager":"m"}]}: must be empty',
    )
    const harmless = { managedFields: [], creationTimestamp: null, labels: {} }
    await ask(sar, { user: 'u', resourceAttributes: get }, { metadata: harmless })
  })

  it('check selectors and name those they ignore', async () => {
    const list = (fields: JsonObject) => ({
      user: 'ann',
      resourceAttributes: { ...get, ...fields },
    })
    const near = { key: 'a', operator: 'Near' }
    const exists = { key: 'a', operator: 'Exists' }
    const evaluation = async (fields: JsonObject) => {
      const { status } = await ask('SubjectAccessReview', list(fields))
      return typeof status === 'object' && status !== null && 'evaluationError' in status
        ? status.evaluationError
        : undefined
    }
    const ignored = 'ignored due to parse error'
    assert.equal(
      await evaluation({ labelSelector: { requirements: [near] } }),
      `spec.resourceAttributes.labelSelector ${ignored}`,
    )
    assert.equal(
      await evaluation({ fieldSelector: { requirements: [near, exists] } }),
      `spec.resourceAttributes.fieldSelector partially ${ignored}`,
    )
    assert.equal(await evaluation({ labelSelector: { requirements: [exists] } }), undefined)
    const error = async (fields: JsonObject) =>
      (await refusal(ask('SubjectAccessReview', list(fields)))).details?.causes?.[0]
    assert.deepEqual(
      await error({ fieldSelector: { rawSelector: 'a=b', requirements: [exists] } }),
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: "a=b": may not specified at the same time as requirements',
        field: 'spec.resourceAttributes.fieldSelector.rawSelector',
      },
    )
    assert.equal((await error({ labelSelector: {} }))?.reason, 'FieldValueRequired')
    const values = { key: 'a', operator: 'In' }
    assert.equal(
      (await error({ labelSelector: { requirements: [values] } }))?.reason,
      'FieldValueRequired',
    )
    const odd = { labelSelector: { requirements: [{ ...exists, key: 'a b' }] } }
    assert.equal((await error(odd))?.reason, 'FieldValueInvalid')
  })
})

describe('SelfSubjectRulesReview', () => {
  it('lists the rules and repeats nothing of the question', async () => {
    const metadata = { labels: { a: 'b' } }
    assert.deepEqual(await ask('SelfSubjectRulesReview', { namespace: 'ns' }, { metadata }), {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      metadata: {},
      spec: {},
      status: {
        resourceRules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['configmaps'] }],
        nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }],
        incomplete: false,
      },
    })
  })

  it('wants a namespace', async () => {
    const body = await refusal(ask('SelfSubjectRulesReview', {}))
    assert.deepEqual([body.code, body.message], [400, 'no namespace on request'])
  })
})

describe('serviceaccounts/token', () => {
  const account: KubeObject = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'vm', namespace: 'ns', uid: 'sa-uid' },
  }
  const core = (kind: string, uid: string, spec: JsonObject = {}): KubeObject => ({
    apiVersion: 'v1',
    kind,
    metadata: { name: 'x', uid },
    spec,
  })
  const objects = {
    'secrets/ns/x': core('Secret', 's-uid'),
    'pods/ns/x': core('Pod', 'p-uid', { serviceAccountName: 'vm', nodeName: 'n1' }),
    'pods/ns/y': core('Pod', 'y-uid', { serviceAccountName: 'other' }),
    'nodes//x': core('Node', 'x-uid'),
    'nodes//n1': core('Node', 'n-uid'),
  }
  async function request(spec: JsonObject, metadata: KubeObject['metadata'] = {}) {
    const { ctx, issued } = context({ objects })
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata, spec }
    const answer = await serviceAccountToken.create?.(body, account, ctx)
    assert.ok(answer !== undefined)
    return { answer, issued: issued[0] }
  }
  const ref = (kind: string, name = 'x', uid = '') => ({
    boundObjectRef: { kind, apiVersion: 'v1', name, ...(uid === '' ? {} : { uid }) },
  })

  it('answers a token for the server itself and an hour', async () => {
    const { answer, issued } = await request({}, { managedFields: [] })
    assert.deepEqual(answer, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {
        managedFields: [],
        name: 'vm',
        namespace: 'ns',
        uid: 'sa-uid',
        creationTimestamp: '2026-03-01T12:00:00Z',
      },
      spec: { audiences: OWN, expirationSeconds: 3600, boundObjectRef: null },
      status: { token: 'a.b.c', expirationTimestamp: '2026-03-01T13:00:00Z' },
    })
    assert.deepEqual(issued, {
      namespace: 'ns',
      serviceAccount: { name: 'vm', uid: 'sa-uid' },
      audiences: OWN,
      expirationSeconds: 3600,
    })
  })

  it('refuses the audience of VM credentials', async () => {
    const { message } = await refusal(request({ audiences: ['vault', 'podless.dev/vm'] }))
    assert.equal(
      message,
      'TokenRequest.authentication.k8s.io "" is invalid: spec.audiences[1]: Invalid value: "podless.dev/vm": is the audience of VM credentials, which only VMs get',
    )
  })

  it('takes lifetimes from 10 minutes to 2^32 seconds', async () => {
    const cause = async (expirationSeconds: number) => {
      const body = await refusal(request({ expirationSeconds }))
      assert.equal(body.details?.kind, 'TokenRequest')
      assert.equal(body.details?.name, undefined)
      return body.message?.replace('TokenRequest.authentication.k8s.io "" is invalid: ', '')
    }
    const short = 'may not specify a duration less than 10 minutes'
    assert.equal(await cause(599), `spec.expirationSeconds: Invalid value: 599: ${short}`)
    assert.equal(await cause(-1), `spec.expirationSeconds: Invalid value: -1: ${short}`)
    assert.match((await cause(2 ** 32 + 1)) ?? '', /larger than 2\^32 seconds$/)
    for (const seconds of [600, 2 ** 32]) {
      assert.equal(
        (await request({ expirationSeconds: seconds })).issued?.expirationSeconds,
        seconds,
      )
    }
  })

  it('binds to a Secret, a Pod with its node, or a Node', async () => {
    const bound = async (kind: string) => (await request(ref(kind))).issued
    assert.deepEqual((await bound('Secret'))?.bound, {
      kind: 'Secret',
      apiVersion: 'v1',
      name: 'x',
      uid: 's-uid',
    })
    const pod = await bound('Pod')
    assert.equal(pod?.bound?.uid, 'p-uid')
    assert.deepEqual(pod?.node, { name: 'n1', uid: 'n-uid' })
    const node = await bound('Node')
    assert.equal(node?.bound?.uid, 'x-uid')
    assert.equal(node?.node, undefined)
  })

  it('refuses to bind to what is missing, another one, or of another kind', async () => {
    const cases: [JsonObject, number, string][] = [
      [ref('Secret', 'nope'), 404, 'secrets "nope" not found'],
      [
        ref('Secret', 'x', 'wrong'),
        409,
        'Operation cannot be fulfilled on Secret "x": the UID in the bound object reference (wrong) does not match the UID in record. The object might have been deleted and then recreated',
      ],
      [ref('ConfigMap'), 400, 'cannot bind token to object of type /v1, Kind=ConfigMap'],
      [ref('constructor'), 400, 'cannot bind token to object of type /v1, Kind=constructor'],
      [
        { boundObjectRef: { kind: 'Pod', apiVersion: 'apps/v1', name: 'x' } },
        400,
        'cannot bind token to object of type apps/v1, Kind=Pod',
      ],
      [
        ref('Pod', 'y'),
        400,
        'cannot bind token for serviceaccount "vm" to pod running with different serviceaccount name.',
      ],
    ]
    for (const [spec, code, message] of cases) {
      const body = await refusal(request(spec))
      assert.deepEqual([body.code, body.message], [code, message])
    }
  })

  it('refuses a body about another account', async () => {
    const message = async (metadata: KubeObject['metadata']) => {
      const body = await refusal(request({}, metadata))
      return [body.code, body.details?.name, body.message]
    }
    assert.deepEqual(await message({ name: 'other' }), [
      422,
      'vm',
      'TokenRequest.authentication.k8s.io "vm" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified',
    ])
    assert.equal((await message({ namespace: 'other' }))[0], 422)
    assert.deepEqual(await message({ uid: 'stale' }), [
      409,
      'vm',
      'Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "vm": the UID in the token request (stale) does not match the UID of the service account (sa-uid)',
    ])
  })

  it('lets the token of a pod that asks for the odd hour live a year, with a warning', async () => {
    const { answer, issued } = await request({ ...ref('Pod'), expirationSeconds: 3607 })
    assert.equal(issued?.expirationSeconds, 31_536_000)
    assert.equal(issued?.warnAfterSeconds, 3607)
    assert.deepEqual(answer.status, { token: 'a.b.c', expirationTimestamp: '2026-03-01T13:00:07Z' })
    const foreign = await request({ ...ref('Pod'), expirationSeconds: 3607, audiences: ['x'] })
    assert.equal(foreign.issued?.expirationSeconds, 3607)
  })
})
