import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import type { AuthorizationRequest } from '../resource.ts'
import { aggregate } from '../resources/rbac.ts'
import { ANONYMOUS } from './authenticate.ts'
import { RbacAuthorizer } from './authorize.ts'
import { bootstrapPolicy, reconcileBootstrap } from './bootstrap-policy.ts'

const named = (kind: string, name: string): KubeObject => {
  const found = bootstrapPolicy().find(obj => obj.kind === kind && obj.metadata.name === name)
  assert.ok(found !== undefined, name)
  return found
}

function warm(): RbacAuthorizer {
  const objects = bootstrapPolicy()
  const authorizer = new RbacAuthorizer()
  for (const obj of objects) authorizer.set(obj)
  for (const obj of aggregate(objects.filter(o => o.kind === 'ClusterRole'))) authorizer.set(obj)
  return authorizer
}

describe('bootstrapPolicy()', () => {
  it('marks every object and names each once', () => {
    const keys = new Set<string>()
    for (const { kind, metadata } of bootstrapPolicy()) {
      assert.equal(metadata.labels?.['kubernetes.io/bootstrapping'], 'rbac-defaults')
      assert.equal(metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate'], 'true')
      keys.add(`${kind}/${metadata.namespace}/${metadata.name}`)
    }
    assert.equal(keys.size, bootstrapPolicy().length)
  })

  it('binds only roles it has', () => {
    for (const { kind, metadata, roleRef } of bootstrapPolicy()) {
      if (!kind.endsWith('Binding')) continue
      assert.ok(typeof roleRef === 'object' && roleRef !== null && 'name' in roleRef)
      assert.ok(named(String(roleRef.kind), String(roleRef.name)), metadata.name)
    }
  })

  it('gives everybody discovery, and little else', () => {
    const authorizer = warm()
    const someone = { name: 'x', groups: ['system:authenticated'] }
    const allowed = (request: AuthorizationRequest) => authorizer.authorize(request).allowed
    assert.ok(allowed({ user: someone, verb: 'get', path: '/apis/apps/v1' }))
    assert.ok(allowed({ user: ANONYMOUS, verb: 'get', path: '/readyz' }))
    assert.ok(!allowed({ user: ANONYMOUS, verb: 'get', path: '/apis' }))
    assert.ok(!allowed({ user: someone, verb: 'get', path: '/metrics' }))
    const review = { verb: 'create', group: 'authorization.k8s.io' }
    assert.ok(allowed({ user: someone, ...review, resource: 'selfsubjectaccessreviews' }))
    assert.ok(!allowed({ user: someone, ...review, resource: 'subjectaccessreviews' }))
    const account = { name: 'sa', groups: ['system:serviceaccounts'] }
    assert.ok(allowed({ user: account, verb: 'get', path: '/openid/v1/jwks' }))
    assert.ok(!allowed({ user: someone, verb: 'get', path: '/openid/v1/jwks' }))
  })

  it('makes admin more than edit and edit more than view by aggregation', () => {
    const authorizer = warm()
    for (const role of ['admin', 'edit', 'view']) {
      authorizer.set({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: role, namespace: 'ns' },
        roleRef: { kind: 'ClusterRole', name: role },
        subjects: [{ kind: 'User', name: role }],
      })
    }
    const can = (name: string, verb: string, resource: string, group = '') =>
      authorizer.authorize({ user: { name, groups: [] }, verb, group, resource, namespace: 'ns' })
        .allowed
    assert.deepEqual(
      ['admin', 'edit', 'view'].map(who => can(who, 'get', 'pods')),
      [true, true, true],
    )
    assert.deepEqual(
      ['admin', 'edit', 'view'].map(who => can(who, 'get', 'secrets')),
      [true, true, false],
    )
    const group = 'rbac.authorization.k8s.io'
    assert.deepEqual(
      ['admin', 'edit', 'view'].map(who => can(who, 'create', 'roles', group)),
      [true, false, false],
    )
  })
})

describe('reconcileBootstrap()', () => {
  it('leaves what is complete, and what was added by hand', () => {
    const expected = named('ClusterRole', 'system:basic-user')
    assert.equal(reconcileBootstrap(expected, named('ClusterRole', 'system:basic-user')), undefined)
    const extra = { apiGroups: ['x'], resources: ['y'], verbs: ['get'] }
    const rules = Array.isArray(expected.rules) ? expected.rules : []
    assert.equal(reconcileBootstrap({ ...expected, rules: [extra, ...rules] }, expected), undefined)
  })

  it('adds missing rules, subjects and labels', () => {
    const expected = named('ClusterRole', 'system:basic-user')
    const stale = {
      ...expected,
      metadata: { name: 'system:basic-user', labels: { own: 'x' } },
      rules: [],
    }
    const next = reconcileBootstrap(stale, expected)
    assert.ok(next !== undefined)
    assert.equal(next.metadata.labels?.own, 'x')
    assert.equal(reconcileBootstrap(next, expected), undefined)
    const binding = named('ClusterRoleBinding', 'system:public-info-viewer')
    const half = { ...binding, subjects: [{ kind: 'User', name: 'mine' }] }
    const joined = reconcileBootstrap(half, binding)
    assert.deepEqual(joined?.subjects, [
      { kind: 'User', name: 'mine' },
      ...(Array.isArray(binding.subjects) ? binding.subjects : []),
    ])
  })

  it('does nothing once autoupdate is off', () => {
    const expected = named('ClusterRole', 'cluster-admin')
    const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' }
    const own = { ...expected, metadata: { ...expected.metadata, annotations }, rules: [] }
    assert.equal(reconcileBootstrap(own, expected), undefined)
  })
})
