import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { JsonValue, KubeObject } from '@podless/apimachinery'
import fc from 'fast-check'
import type { AuthorizationRequest, UserInfo } from '../resource.ts'
import { authorizationError, RbacAuthorizer } from './authorize.ts'

const GROUP = 'rbac.authorization.k8s.io'
const ann: UserInfo = { name: 'ann', groups: ['team', 'system:authenticated'] }

function role(name: string, rules: JsonValue[], namespace?: string): KubeObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: namespace === undefined ? 'ClusterRole' : 'Role',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    rules,
  }
}

function binding(
  name: string,
  roleRef: [string, string],
  subjects: JsonValue[],
  namespace?: string,
): KubeObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    roleRef: { apiGroup: GROUP, kind: roleRef[0], name: roleRef[1] },
    subjects,
  }
}

const user = (name: string) => ({ kind: 'User', name, apiGroup: GROUP })
const group = (name: string) => ({ kind: 'Group', name, apiGroup: GROUP })
const account = (name: string, namespace?: string) => ({
  kind: 'ServiceAccount',
  name,
  ...(namespace === undefined ? {} : { namespace }),
})
const READ = { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }

function authorizerOf(...objects: KubeObject[]): RbacAuthorizer {
  const authorizer = new RbacAuthorizer()
  for (const obj of objects) authorizer.set(obj)
  return authorizer
}

const request = (fields: Partial<AuthorizationRequest> = {}): AuthorizationRequest => ({
  user: ann,
  verb: 'get',
  group: '',
  version: 'v1',
  resource: 'configmaps',
  namespace: 'default',
  ...fields,
})

describe('RbacAuthorizer.authorize()', () => {
  it('names the binding, the role and the subject that allow', () => {
    const cases: [KubeObject[], string][] = [
      [
        [role('r', [READ]), binding('b', ['ClusterRole', 'r'], [user('x'), user('ann')])],
        'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "ann"',
      ],
      [
        [role('r', [READ], 'default'), binding('b', ['Role', 'r'], [group('team')], 'default')],
        'RBAC: allowed by RoleBinding "b/default" of Role "r" to Group "team"',
      ],
      [
        [role('r', [READ]), binding('b', ['ClusterRole', 'r'], [group('team')], 'default')],
        'RBAC: allowed by RoleBinding "b/default" of ClusterRole "r" to Group "team"',
      ],
    ]
    for (const [objects, reason] of cases) {
      assert.deepEqual(authorizerOf(...objects).authorize(request()), { allowed: true, reason })
    }
  })

  it('knows ServiceAccounts by their user name, in the binding namespace by default', () => {
    const vm: UserInfo = { name: 'system:serviceaccount:default:vm', groups: [] }
    const allow = (...subjects: JsonValue[]) =>
      authorizerOf(role('r', [READ]), binding('b', ['ClusterRole', 'r'], subjects, 'default'))
    const granted = allow(account('vm')).authorize(request({ user: vm }))
    assert.equal(
      granted.reason,
      'RBAC: allowed by RoleBinding "b/default" of ClusterRole "r" to ServiceAccount "vm/default"',
    )
    assert.ok(allow(account('vm', 'default')).authorize(request({ user: vm })).allowed)
    assert.ok(!allow(account('vm', 'other')).authorize(request({ user: vm })).allowed)
    const cluster = authorizerOf(
      role('r', [READ]),
      binding('b', ['ClusterRole', 'r'], [account('vm')]),
    )
    assert.ok(!cluster.authorize(request({ user: vm })).allowed)
    assert.ok(!cluster.authorize(request({ user: { name: 'vm', groups: [] } })).allowed)
  })

  it('keeps users, groups and unknown kinds apart', () => {
    const named = (subject: JsonValue) =>
      authorizerOf(role('r', [READ]), binding('b', ['ClusterRole', 'r'], [subject]))
    assert.ok(!named(user('team')).authorize(request()).allowed)
    assert.ok(!named(group('ann')).authorize(request()).allowed)
    assert.ok(!named({ kind: 'Robot', name: 'ann' }).authorize(request()).allowed)
    assert.ok(!named('ann').authorize(request()).allowed)
  })

  it('stays within the namespace of a RoleBinding', () => {
    const authorizer = authorizerOf(
      role('r', [READ]),
      binding('b', ['ClusterRole', 'r'], [user('ann')], 'default'),
    )
    assert.ok(authorizer.authorize(request()).allowed)
    assert.ok(!authorizer.authorize(request({ namespace: 'other' })).allowed)
    assert.ok(!authorizer.authorize(request({ namespace: '' })).allowed)
  })

  it('matches verbs, groups, resources, subresources and names as upstream does', () => {
    const allows = (rule: JsonValue, fields: Partial<AuthorizationRequest>) =>
      authorizerOf(role('r', [rule]), binding('b', ['ClusterRole', 'r'], [user('ann')])).authorize(
        request(fields),
      ).allowed
    const star = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] }
    assert.ok(allows(star, { verb: 'bind', group: 'x', resource: 'y', subresource: 'z' }))
    assert.ok(!allows({ ...star, verbs: ['list'] }, {}))
    assert.ok(!allows({ ...star, apiGroups: ['apps'] }, {}))
    assert.ok(!allows({ ...star, resources: ['configmaps'] }, { subresource: 'status' }))
    assert.ok(allows({ ...star, resources: ['configmaps/status'] }, { subresource: 'status' }))
    assert.ok(allows({ ...star, resources: ['*/status'] }, { subresource: 'status' }))
    assert.ok(!allows({ ...star, resources: ['*/status'] }, {}))
    const named = { ...star, resourceNames: ['open'] }
    assert.ok(allows(named, { name: 'open' }))
    assert.ok(!allows(named, { name: 'shut' }))
    assert.ok(!allows(named, {}))
    const { path, ...none } = { path: '/healthz/etcd', user: ann, verb: 'get' }
    const url = (pattern: string) => ({ nonResourceURLs: [pattern], verbs: ['get'] })
    const reads = (pattern: string, at: string) =>
      authorizerOf(
        role('r', [url(pattern)]),
        binding('b', ['ClusterRole', 'r'], [user('ann')]),
      ).authorize({ ...none, path: at }).allowed
    assert.ok(reads('/healthz/*', path))
    assert.ok(reads('*', path))
    assert.ok(reads('/healthz/etcd', path))
    assert.ok(!reads('/healthz', path))
    assert.ok(!reads('/health/*', path))
    assert.ok(!allows(url('*'), {}))
  })

  it('lets system:masters do everything, without a reason', () => {
    const admin = { name: 'root', groups: ['system:masters'] }
    const answer = new RbacAuthorizer().authorize(request({ user: admin, verb: 'anything' }))
    assert.deepEqual(answer, { allowed: true, reason: '' })
  })

  it('says which role of a binding is missing', () => {
    const one = authorizerOf(binding('b', ['ClusterRole', 'gone'], [user('ann')]))
    assert.deepEqual(one.authorize(request()), {
      allowed: false,
      reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
    })
    one.set(binding('c', ['Role', 'away'], [user('ann')], 'default'))
    assert.equal(
      one.authorize(request()).reason,
      'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "away" not found]',
    )
    assert.equal(one.authorize(request({ user: { name: 'eve', groups: [] } })).reason, '')
  })

  it('follows changes and deletions', () => {
    const authorizer = authorizerOf(role('r', [READ]))
    const bound = binding('b', ['ClusterRole', 'r'], [user('ann')])
    const allowed = () => authorizer.authorize(request()).allowed
    assert.ok(!allowed())
    authorizer.set(bound)
    assert.ok(allowed())
    authorizer.set(role('r', []))
    assert.ok(!allowed())
    authorizer.set(role('r', [READ]))
    authorizer.set({ ...bound, subjects: [user('eve')] })
    assert.ok(!allowed())
    authorizer.set(bound)
    authorizer.remove(role('r', []))
    assert.ok(!allowed())
    authorizer.set(role('r', [READ]))
    authorizer.remove({ kind: bound.kind, metadata: bound.metadata })
    assert.ok(!allowed())
  })

  it('answers as a plain scan of all bindings does, whatever the history', () => {
    const names = fc.constantFrom('a', 'b', 'c')
    const namespaces = fc.constantFrom('', 'n1', 'n2')
    const change = fc.record({
      type: fc.constantFrom('set', 'remove'),
      name: names,
      namespace: namespaces,
      role: names,
      subjects: fc.array(fc.record({ kind: fc.constantFrom('User', 'Group'), name: names })),
    })
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 30 }),
        names,
        names,
        namespaces,
        (changes, name, of, at) => {
          const authorizer = authorizerOf(role('a', [READ]), role('b', []))
          const model = new Map<string, (typeof changes)[number]>()
          for (const step of changes) {
            const namespace = step.namespace === '' ? undefined : step.namespace
            const obj = binding(step.name, ['ClusterRole', step.role], step.subjects, namespace)
            const key = `${step.namespace}/${step.name}`
            if (step.type === 'set') {
              authorizer.set(obj)
              model.set(key, step)
            } else {
              authorizer.remove(obj)
              model.delete(key)
            }
          }
          const expected = [...model.values()].some(
            held =>
              held.role === 'a' &&
              (held.namespace === '' || held.namespace === at) &&
              held.subjects.some(s => s.name === (s.kind === 'User' ? name : of)),
          )
          const answer = authorizer.authorize(
            request({ user: { name, groups: [of] }, namespace: at }),
          )
          assert.equal(answer.allowed, expected)
        },
      ),
    )
  })
})

describe('RbacAuthorizer.rulesFor()', () => {
  it('lists the rules of a user in a namespace', () => {
    const url = { verbs: ['get'], nonResourceURLs: ['/healthz'] }
    const named = { ...READ, resourceNames: ['x'] }
    const authorizer = authorizerOf(
      role('r', [READ, url]),
      role('n', [named], 'default'),
      binding('b', ['ClusterRole', 'r'], [group('team')]),
      binding('b', ['Role', 'n'], [user('ann')], 'default'),
    )
    const both = { resourceRules: [READ, named], nonResourceRules: [url], incomplete: false }
    assert.deepEqual(authorizer.rulesFor(ann, 'default'), both)
    assert.deepEqual(authorizer.rulesFor(ann, 'other').resourceRules, [READ])
    authorizer.remove(role('n', [], 'default'))
    assert.equal(authorizer.rulesFor(ann, 'default').incomplete, true)
  })
})

describe('authorizationError()', () => {
  const message = (fields: Partial<AuthorizationRequest>, reason = '') =>
    authorizationError(request(fields), reason).body

  it('is worded as upstream words it', () => {
    assert.deepEqual(message({ verb: 'list', resource: 'pods' }), {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message:
        'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
      reason: 'Forbidden',
      details: { kind: 'pods' },
      code: 403,
    })
    assert.equal(
      message({
        group: 'apps',
        resource: 'deployments',
        subresource: 'scale',
        name: 'd',
        namespace: '',
      }).message,
      'deployments.apps "d" is forbidden: User "ann" cannot get resource "deployments/scale" in API group "apps" at the cluster scope',
    )
    assert.match(message({}, 'RBAC: x not found').message ?? '', /"default": RBAC: x not found$/)
    const path = authorizationError({ user: ann, verb: 'get', path: '/logs' }, '').body
    assert.equal(path.message, 'forbidden: User "ann" cannot get path "/logs"')
    assert.deepEqual(path.details, {})
  })

  it('lets no markup of the user through', () => {
    const user = { name: '<script>&', groups: [] }
    assert.match(message({ user }).message ?? '', /User "&lt;script&gt;&amp;" cannot/)
  })
})
