import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StatusError } from '@podless/apimachinery'
import type { AuthorizationRequest, Authorizer, UserInfo } from '../resource.ts'
import { impersonate } from './impersonate.ts'

const admin: UserInfo = { name: 'admin', groups: ['system:masters'] }
const vm: UserInfo = { name: 'system:serviceaccount:ns:vm', groups: [] }

/** Allows what the predicate says, and remembers what it was asked. */
function authorizerOf(allows: (request: AuthorizationRequest) => boolean) {
  const asked: string[] = []
  const authorizer: Authorizer = {
    authorize(request) {
      const { group = '', name = '', namespace = '', path = '', resource = '', verb } = request
      const what = request.subresource ? `${resource}/${request.subresource}` : resource
      asked.push([verb, group, what, namespace, name, path].join(' ').trimEnd())
      return { allowed: allows(request), reason: '' }
    },
    rulesFor: () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
  }
  return { authorizer, asked }
}

const request = (
  headers: Record<string, string | string[]>,
  target = '/api/v1/namespaces/ns/configmaps',
) => ({
  method: 'GET',
  target,
  headersWithPrefix: (prefix: string) =>
    new Map(
      Object.entries(headers)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name, Array.isArray(value) ? value : [value]]),
    ),
})

const everything = () => authorizerOf(() => true).authorizer
const as = (headers: Record<string, string | string[]>, authorizer = everything(), user = admin) =>
  impersonate(user, request(headers), authorizer)

function refusal(run: () => unknown): StatusError['body'] {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof StatusError)
    return error.body
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}

describe('impersonate()', () => {
  it('leaves a request without its headers alone', () => {
    const { asked, authorizer } = authorizerOf(() => false)
    assert.equal(as({}, authorizer), admin)
    assert.equal(as({ 'impersonate-user': '' }, authorizer), admin)
    assert.deepEqual(asked, [])
  })

  it('becomes the user with groups, uid and extra', () => {
    const user = as({
      'impersonate-user': 'ann',
      'impersonate-uid': 'u1',
      'impersonate-group': ['team', 'g2'],
      'impersonate-extra-scope': ['view'],
      'impersonate-extra-acme.com%2fproject': ['a', 'b'],
    })
    assert.deepEqual(user, {
      name: 'ann',
      uid: 'u1',
      groups: ['team', 'g2', 'system:authenticated'],
      extra: { scope: ['view'], 'acme.com/project': ['a', 'b'] },
    })
  })

  it('fills in the groups that follow from the name', () => {
    const groups = (name: string, given: string[] = []) =>
      as({
        'impersonate-user': name,
        ...(given.length === 0 ? {} : { 'impersonate-group': given }),
      }).groups
    const account = ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated']
    assert.deepEqual(groups('system:serviceaccount:ns:vm'), account)
    assert.deepEqual(groups('system:serviceaccount:ns:vm', ['x']), ['x', 'system:authenticated'])
    assert.deepEqual(groups('system:node:n1'), ['system:nodes', 'system:authenticated'])
    assert.deepEqual(groups('system:anonymous'), ['system:unauthenticated'])
    assert.deepEqual(groups('ann', ['system:authenticated']), ['system:authenticated'])
    assert.deepEqual(groups('ann', ['system:unauthenticated']), ['system:unauthenticated'])
  })

  it('wants a user name with the other headers', () => {
    const body = (headers: Record<string, string | string[]>) => refusal(() => as(headers))
    const group = body({ 'impersonate-group': ['g'] })
    assert.equal(group.code, 400)
    assert.equal(
      group.message,
      'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name',
    )
    assert.equal(
      body({
        'impersonate-uid': 'u',
        'impersonate-extra-b': ['1'],
        'impersonate-extra-a': ['1', '2'],
      }).message,
      'requested &user.DefaultInfo{Name:"", UID:"u", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"1", "2"}, "b":[]string{"1"}}} without impersonating a user name',
    )
  })

  it('is refused with the first right that was missing', () => {
    const nobody = () => authorizerOf(() => false).authorizer
    const user = refusal(() => as({ 'impersonate-user': 'root' }, nobody(), vm))
    assert.equal(
      user.message,
      'configmaps is forbidden: User "system:serviceaccount:ns:vm" cannot impersonate-on:user-info:list resource "configmaps" in API group "" in the namespace "ns"',
    )
    assert.deepEqual(user.details, { kind: 'configmaps' })
    const headers = { 'impersonate-user': vm.name, 'impersonate-group': ['system:masters'] }
    assert.equal(
      refusal(() => as(headers, nobody(), vm)).message,
      'serviceaccounts "vm" is forbidden: User "system:serviceaccount:ns:vm" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "ns"',
    )
  })

  it('asks for each part under the unconstrained right', () => {
    const { asked, authorizer } = authorizerOf(({ verb }) => verb === 'impersonate')
    as(
      {
        'impersonate-user': 'ann',
        'impersonate-uid': 'u1',
        'impersonate-group': ['g1', 'g2'],
        'impersonate-extra-scope': ['view'],
      },
      authorizer,
    )
    assert.deepEqual(asked.slice(1), [
      'impersonate  users  ann',
      'impersonate authentication.k8s.io uids  u1',
      'impersonate  groups  g1',
      'impersonate  groups  g2',
      'impersonate authentication.k8s.io userextras/scope  view',
    ])
    for (const resource of ['users', 'uids', 'groups', 'userextras']) {
      const partial = authorizerOf(r => r.verb === 'impersonate' && r.resource !== resource)
      const headers = {
        'impersonate-user': 'ann',
        'impersonate-uid': 'u',
        'impersonate-group': 'g',
        'impersonate-extra-k': 'v',
      }
      assert.equal(refusal(() => as(headers, partial.authorizer)).code, 403, resource)
    }
  })

  it('is content with a constrained right for this very request', () => {
    const modes: [string, UserInfo, string, string][] = [
      ['user-info', admin, 'ann', 'authentication.k8s.io users  ann'],
      ['serviceaccount', admin, vm.name, 'authentication.k8s.io serviceaccounts ns vm'],
      ['arbitrary-node', admin, 'system:node:n1', 'authentication.k8s.io nodes  n1'],
      [
        'associated-node',
        { ...vm, extra: { 'authentication.kubernetes.io/node-name': ['n1'] } },
        'system:node:n1',
        'authentication.k8s.io nodes  *',
      ],
    ]
    for (const [mode, requestor, name, right] of modes) {
      const { asked, authorizer } = authorizerOf(({ verb }) => verb.includes(`:${mode}`))
      assert.equal(as({ 'impersonate-user': name }, authorizer, requestor).name, name)
      assert.deepEqual(asked, [
        `impersonate-on:${mode}:list  configmaps ns`,
        `impersonate:${mode} ${right}`,
      ])
    }
  })

  it('never gives system:masters, empty groups or odd extras by a constrained right', () => {
    const { authorizer } = authorizerOf(({ verb }) => verb !== 'impersonate')
    for (const headers of [
      { 'impersonate-group': ['system:masters'] },
      { 'impersonate-group': [''] },
      { 'impersonate-extra-scope': ['v'] },
      { 'impersonate-extra-a.b/c': [''] },
    ]) {
      assert.equal(
        refusal(() => as({ 'impersonate-user': 'ann', ...headers }, authorizer)).code,
        403,
      )
    }
    const fine = { 'impersonate-user': 'ann', 'impersonate-extra-a.b/c': ['v'] }
    assert.deepEqual(as(fine, authorizer).extra, { 'a.b/c': ['v'] })
  })

  it('asks about paths for requests that are no resource', () => {
    const { asked, authorizer } = authorizerOf(() => true)
    impersonate(admin, request({ 'impersonate-user': 'ann' }, '/version?x=1'), authorizer)
    assert.equal(asked[0], 'impersonate-on:user-info:get     /version')
  })

  it('takes a name that only looks like a ServiceAccount for a user', () => {
    for (const name of [
      'system:serviceaccount:ns',
      'system:serviceaccount:N:vm',
      'system:serviceaccount:a:b:c',
    ]) {
      const { asked, authorizer } = authorizerOf(({ verb }) => verb === 'impersonate')
      assert.deepEqual(as({ 'impersonate-user': name }, authorizer).groups, [
        'system:authenticated',
      ])
      assert.equal(asked.at(-1), `impersonate  users  ${name}`)
    }
  })
})
