import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatFieldError, type JsonValue, type KubeObject } from '@podless/apimachinery'
import fc from 'fast-check'
import type { Resource, RuleContext } from '../resource.ts'
import { aggregate, rbacResources } from './rbac.ts'

const GROUP = 'rbac.authorization.k8s.io'
const named = (plural: string): Resource => {
  const found = rbacResources.find(resource => resource.gvr.resource === plural)
  assert.ok(found !== undefined)
  return found
}
const unused = (): never => assert.fail('not used by validation')
const CONTEXT: RuleContext = {
  user: { name: 'x', groups: [] },
  verb: 'create',
  namespace: 'ns',
  dryRun: false,
  now: unused,
  warn: unused,
  services: {
    lookup: unused,
    list: unused,
    authorizer: { authorize: unused, rulesFor: unused },
    tokens: { audiences: [], issue: unused, review: unused },
    serviceAddresses: {
      allocate: unused,
      release: unused,
      nodePorts: { allocate: unused, release: unused },
    },
  },
}

const object = (kind: string, fields: Record<string, JsonValue>): KubeObject => ({
  apiVersion: `${GROUP}/v1`,
  kind,
  metadata: { name: 'x' },
  ...fields,
})
const errorsOf = (plural: string, fields: Record<string, JsonValue>): string[] => {
  const { names, strategy } = named(plural)
  const obj = object(names.kind, fields)
  strategy.default?.(obj)
  const created = (strategy.validate?.(obj, CONTEXT) ?? []).map(formatFieldError)
  const updated = (strategy.validateUpdate?.(obj, obj, CONTEXT) ?? []).map(formatFieldError)
  assert.deepEqual(updated, created)
  return created
}

describe('roles', () => {
  const rules = (plural: string, ...list: JsonValue[]) => errorsOf(plural, { rules: list })

  it('need verbs, groups and resources in each rule', () => {
    assert.deepEqual(rules('roles', { verbs: ['get'] }, { apiGroups: [''], resources: ['x'] }), [
      'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
      'rules[0].resources: Required value: resource rules must supply at least one resource',
      'rules[1].verbs: Required value: verbs must contain at least one value',
    ])
    assert.deepEqual(errorsOf('roles', {}), [])
  })

  it('have paths only cluster-wide and only apart from resources', () => {
    const urls = { nonResourceURLs: ['/x'], verbs: ['get'] }
    assert.deepEqual(rules('roles', urls), [
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ])
    assert.deepEqual(rules('clusterroles', urls), [])
    assert.deepEqual(rules('clusterroles', { ...urls, apiGroups: [''], resources: ['x'] }), [
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
    ])
    assert.deepEqual(rules('clusterroles', { ...urls, nonResourceURLs: ['/a*b'] }), [])
  })

  it('aggregate by at least one valid selector', () => {
    const errors = (...clusterRoleSelectors: JsonValue[]) =>
      errorsOf('clusterroles', { aggregationRule: { clusterRoleSelectors } })
    assert.deepEqual(errors(), [
      'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    ])
    assert.deepEqual(errors({ matchLabels: { a: 'b' } }), [])
    assert.equal(
      errors({ matchExpressions: [{ key: 'a', operator: 'In' }] }).at(-1),
      'aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.',
    )
  })

  it('may have any name a path can carry', () => {
    const { validateName } = named('clusterroles').strategy
    assert.deepEqual(validateName?.('golden:x:view', false), [])
    assert.deepEqual(validateName?.('system:odd name/', false), ["may not contain '/'"])
    assert.deepEqual(validateName?.('a%b', false), ["may not contain '%'"])
  })
})

describe('bindings', () => {
  const user = { kind: 'User', name: 'u' }
  const ref = { kind: 'Role', name: 'r' }

  it('get the API group of their role and subjects', () => {
    const obj = object('RoleBinding', {
      roleRef: { ...ref },
      subjects: [
        { ...user },
        { kind: 'Group', name: 'g', apiGroup: '' },
        { kind: 'ServiceAccount', name: 's' },
      ],
    })
    named('rolebindings').strategy.default?.(obj)
    assert.deepEqual(obj.roleRef, { ...ref, apiGroup: GROUP })
    assert.deepEqual(obj.subjects, [
      { ...user, apiGroup: GROUP },
      { kind: 'Group', name: 'g', apiGroup: GROUP },
      { kind: 'ServiceAccount', name: 's' },
    ])
  })

  it('name a role of a kind they can hold', () => {
    const role = (plural: string, roleRef: JsonValue) =>
      errorsOf(plural, { roleRef, subjects: [user] })
    assert.deepEqual(role('rolebindings', {}), [
      'roleRef.kind: Unsupported value: "": supported values: "Role", "ClusterRole"',
      'roleRef.name: Required value',
    ])
    assert.deepEqual(role('rolebindings', { ...ref, apiGroup: 'x.example.com' }), [
      `roleRef.apiGroup: Unsupported value: "x.example.com": supported values: "${GROUP}"`,
    ])
    assert.deepEqual(role('clusterrolebindings', ref), [
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ])
    assert.deepEqual(role('rolebindings', { ...ref, name: 'a/b' }), [
      `roleRef.name: Invalid value: "a/b": may not contain '/'`,
    ])
  })

  it('name subjects of the three kinds', () => {
    const subjects = (plural: string, ...list: JsonValue[]) =>
      errorsOf(plural, { roleRef: { kind: 'ClusterRole', name: 'r' }, subjects: list })
    assert.deepEqual(
      subjects(
        'rolebindings',
        { kind: 'User', name: '' },
        { kind: 'ServiceAccount', name: 's', apiGroup: GROUP },
        { kind: 'Robot', name: 'r' },
      ),
      [
        'subjects[0].name: Required value',
        `subjects[1].apiGroup: Unsupported value: "${GROUP}": supported values: ""`,
        'subjects[2].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      ],
    )
    const account = { kind: 'ServiceAccount', name: 's' }
    assert.deepEqual(subjects('rolebindings', account), [])
    assert.deepEqual(subjects('clusterrolebindings', account), [
      'subjects[0].namespace: Required value',
    ])
    assert.match(
      subjects('rolebindings', { ...account, name: 'Bad_' })[0] ?? '',
      /^subjects\[0\]\.name: Invalid value: "Bad_": a lowercase RFC 1123 subdomain/,
    )
  })

  it('keep their role', () => {
    const { strategy } = named('rolebindings')
    const old = object('RoleBinding', { roleRef: { apiGroup: GROUP, ...ref } })
    const next = object('RoleBinding', { roleRef: { apiGroup: GROUP, ...ref, name: 'other' } })
    const errors = strategy.validateUpdate?.(next, old, CONTEXT).map(formatFieldError)
    assert.deepEqual(errors, [
      `roleRef: Invalid value: {"APIGroup":"${GROUP}","Kind":"Role","Name":"other"}: cannot change roleRef`,
    ])
  })

  it('print role and subjects', () => {
    const obj = object('RoleBinding', {
      roleRef: ref,
      subjects: [
        user,
        { kind: 'User', name: 'v' },
        { kind: 'ServiceAccount', name: 's', namespace: 'n' },
      ],
    })
    obj.metadata.creationTimestamp = '2026-03-01T12:00:00Z'
    const { columns } = named('rolebindings')
    const now = new Date('2026-03-01T12:00:05Z')
    assert.deepEqual(
      columns.map(c => c.name),
      ['Name', 'Role', 'Age', 'Users', 'Groups', 'ServiceAccounts'],
    )
    assert.deepEqual(
      columns.map(c => c.cell(obj, now)),
      ['x', 'Role/r', '5s', 'u, v', '', 'n/s'],
    )
    assert.deepEqual(
      columns.map(c => c.priority ?? 0),
      [0, 0, 0, 1, 1, 1],
    )
    const roleColumns = named('roles').columns
    assert.deepEqual(
      roleColumns.map(c => [c.name, c.type]),
      [
        ['Name', 'string'],
        ['Created At', 'date'],
      ],
    )
    assert.deepEqual(
      roleColumns.map(c => c.cell(obj, now)),
      ['x', '2026-03-01T12:00:00Z'],
    )
  })
})

describe('rbacResources', () => {
  it('have a schema each, read only when asked for', () => {
    for (const resource of rbacResources) {
      assert.ok(resource.schema.properties?.has('metadata'), resource.gvr.resource)
    }
  })
})

describe('aggregate()', () => {
  const role = (
    name: string,
    rules: JsonValue,
    labels: Record<string, string> = {},
    selects?: string,
  ) =>
    object('ClusterRole', {
      metadata: { name, labels },
      rules,
      ...(selects === undefined
        ? {}
        : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [selects]: 'yes' } }] } }),
    })
  const rule = (verb: string) => ({ apiGroups: [''], resources: ['x'], verbs: [verb] })
  const rulesOf = (roles: KubeObject[], name: string) =>
    roles.find(({ metadata }) => metadata.name === name)?.rules

  it('sums the selected roles in order of their names, each rule once', () => {
    const changed = aggregate([
      role('sum', null, {}, 'a'),
      role('b', [rule('get'), rule('list')], { a: 'yes' }),
      role('a', [rule('watch'), rule('get')], { a: 'yes' }),
      role('c', [rule('delete')], { a: 'no' }),
    ])
    assert.equal(changed.length, 1)
    assert.deepEqual(rulesOf(changed, 'sum'), [rule('watch'), rule('get'), rule('list')])
  })

  it('changes nothing that is right already, and drops what is no longer selected', () => {
    const part = role('part', [rule('get')], { a: 'yes' })
    assert.deepEqual(aggregate([role('sum', [rule('get')], {}, 'a'), part]), [])
    assert.deepEqual(aggregate([role('sum', null, {}, 'none'), part]), [])
    const stale = aggregate([role('sum', [rule('get'), rule('list')], {}, 'a'), part])
    assert.deepEqual(rulesOf(stale, 'sum'), [rule('get')])
    assert.deepEqual(rulesOf(aggregate([role('sum', [rule('get')], {}, 'a')]), 'sum'), [])
  })

  it('follows sums of sums, and ends where they select each other', () => {
    const changed = aggregate([
      role('admin', null, {}, 'a'),
      role('edit', null, { a: 'yes' }, 'e'),
      role('view', null, { e: 'yes' }, 'v'),
      role('base', [rule('get')], { v: 'yes' }),
    ])
    for (const name of ['admin', 'edit', 'view'])
      assert.deepEqual(rulesOf(changed, name), [rule('get')])
    const cycle = aggregate([
      role('one', [], { y: 'yes' }, 'x'),
      role('two', [], { x: 'yes' }, 'y'),
      role('base', [rule('get')], { x: 'yes' }),
    ])
    assert.deepEqual(rulesOf(cycle, 'two'), [rule('get')])
  })

  it('is settled after one call and leaves its input alone', () => {
    const label = fc.constantFrom('a', 'b', 'c')
    const roles = fc.uniqueArray(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 3 }),
        labels: fc.dictionary(label, fc.constantFrom('yes', 'no'), { noNullPrototype: true }),
        verbs: fc.array(fc.constantFrom('get', 'list'), { maxLength: 2 }),
        selects: fc.option(label, { nil: undefined }),
      }),
      { selector: ({ name }) => name, maxLength: 6 },
    )
    fc.assert(
      fc.property(roles, drawn => {
        const before = drawn.map(r => role(r.name, r.verbs.map(rule), r.labels, r.selects))
        const copy = structuredClone(before)
        const changed = aggregate(before)
        assert.deepEqual(before, copy)
        const after = before.map(
          old => changed.find(({ metadata }) => metadata.name === old.metadata.name) ?? old,
        )
        assert.deepEqual(aggregate(after), [])
      }),
    )
  })
})
