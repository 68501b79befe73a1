import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type JsonValue, type KubeObject, StatusError } from '@podless/apimachinery'
import fc from 'fast-check'
import type { RuleContext, Services, UserInfo } from '../resource.ts'
import { RbacAuthorizer } from './authorize.ts'
import { authorizeBindingWrite, authorizeRoleWrite } from './escalation.ts'
import { policyRule, ruleAllows, uncovered } from './policy-rule.ts'

const GROUP = 'rbac.authorization.k8s.io'
const eve: UserInfo = { name: 'eve', groups: ['system:authenticated'] }

const role = (name: string, rules: JsonValue[], fields: Partial<KubeObject> = {}): KubeObject => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'ClusterRole',
  metadata: { name },
  rules,
  ...fields,
})

/** A context in which eve holds `rules` everywhere and the cache has `roles`. */
function context(rules: JsonValue[], roles: KubeObject[] = [], user = eve): RuleContext {
  const authorizer = new RbacAuthorizer()
  authorizer.set(role('held', rules))
  authorizer.set({
    ...role('held', []),
    kind: 'ClusterRoleBinding',
    roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: 'held' },
    subjects: [{ kind: 'User', name: 'eve' }],
  })
  const lookup: Services['lookup'] = (gvr, namespace, name) =>
    roles.find(
      obj =>
        `${obj.kind.toLowerCase()}s` === gvr.resource &&
        obj.metadata.name === name &&
        (obj.metadata.namespace ?? '') === namespace,
    )
  const unused = (): never => assert.fail('not used by RBAC writes')
  return {
    user,
    verb: 'create',
    namespace: 'ns',
    dryRun: false,
    now: unused,
    warn: unused,
    services: {
      lookup,
      list: unused,
      authorizer,
      tokens: { audiences: [], issue: unused, review: unused },
      serviceAddresses: {
        allocate: unused,
        release: unused,
        nodePorts: { allocate: unused, release: unused },
      },
    },
  }
}

const READ = { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }
const SECRETS = { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list'] }
const may = (verb: string, resource: string, resourceNames: string[] = []) => ({
  apiGroups: [GROUP],
  resources: [resource],
  verbs: [verb],
  resourceNames,
})

function refusal(run: () => void): StatusError['body'] | undefined {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof StatusError)
    return error.body
  }
  return undefined
}

describe('authorizeRoleWrite()', () => {
  const write = (obj: KubeObject, ctx: RuleContext, old?: KubeObject) =>
    refusal(() => authorizeRoleWrite('clusterroles', obj, old, ctx))

  it('names the rights that are missing, joined by resource and sorted', () => {
    const url = { nonResourceURLs: ['/metrics'], verbs: ['get'] }
    const named = { ...SECRETS, resourceNames: ['a'] }
    const body = write(role('grab', [SECRETS, url, READ, named]), context([READ]))
    assert.equal(body?.code, 403)
    assert.deepEqual(body?.details, { name: 'grab', group: GROUP, kind: 'clusterroles' })
    assert.equal(
      body?.message,
      [
        `clusterroles.${GROUP} "grab" is forbidden: user "eve" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:`,
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
      ].join('\n'),
    )
  })

  it('lets through what is held, and everything for escalate and system:masters', () => {
    assert.equal(write(role('fine', [READ]), context([READ])), undefined)
    assert.equal(
      write(role('any', [SECRETS]), context([may('escalate', 'clusterroles')])),
      undefined,
    )
    const masters = { name: 'root', groups: ['system:masters'] }
    assert.equal(write(role('any', [SECRETS]), context([], [], masters)), undefined)
  })

  it('counts a right to escalate one name on updates of that name only', () => {
    const ctx = context([may('escalate', 'clusterroles', ['own'])])
    assert.equal(write(role('own', [SECRETS]), ctx)?.code, 403)
    assert.equal(write(role('own', [SECRETS]), ctx, role('own', [])), undefined)
    assert.equal(write(role('other', [SECRETS]), ctx, role('other', []))?.code, 403)
  })

  it('lets anyone change what only the garbage collector reads', () => {
    const old = role('r', [SECRETS], { metadata: { name: 'r', finalizers: ['a'] } })
    assert.equal(write(role('r', [SECRETS]), context([]), old), undefined)
    const labelled = role('r', [SECRETS], { metadata: { name: 'r', labels: { a: 'b' } } })
    assert.equal(write(labelled, context([]), old)?.code, 403)
  })

  it('wants full authority for an aggregated role', () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }
    const aggregated = role('sum', [], { aggregationRule })
    const body = write(aggregated, context([READ]))
    assert.equal(
      body?.message,
      `clusterroles.${GROUP} "sum" is forbidden: must have cluster-admin privileges to use the aggregationRule`,
    )
    assert.equal(write(role('sum', []), context([READ]), aggregated)?.code, 403)
    const all = [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ]
    assert.equal(write(aggregated, context(all)), undefined)
  })
})

describe('authorizeBindingWrite()', () => {
  const bind = (kind: string, name: string, metadata = {}): KubeObject => ({
    apiVersion: `${GROUP}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'b', namespace: 'ns', ...metadata },
    roleRef: { apiGroup: GROUP, kind, name },
    subjects: [],
  })
  const write = (obj: KubeObject, ctx: RuleContext, old?: KubeObject) =>
    refusal(() => authorizeBindingWrite('rolebindings', obj, old, ctx))
  const local: KubeObject = {
    ...role('r', [READ]),
    kind: 'Role',
    metadata: { name: 'r', namespace: 'ns' },
  }

  it('checks the rules of the role that is bound', () => {
    const roles = [local, role('r', [SECRETS])]
    assert.equal(write(bind('Role', 'r'), context([READ], roles)), undefined)
    const body = write(bind('ClusterRole', 'r'), context([READ], roles))
    assert.equal(body?.code, 403)
    assert.match(
      body?.message ?? '',
      /^rolebindings\.\S+ "b" is forbidden: user "eve" .*\n\{APIGroups/,
    )
  })

  it('answers 404 for a role that is not there', () => {
    const body = write(bind('Role', 'binder2'), context([READ]))
    assert.equal(body?.code, 404)
    assert.equal(body?.message, `rolebindings.${GROUP} "binder2" not found`)
    assert.deepEqual(body?.details, { name: 'binder2', group: GROUP, kind: 'rolebindings' })
  })

  it('lets through bind, system:masters and the garbage collector', () => {
    const roles = [role('r', [SECRETS])]
    const right = context([may('bind', 'clusterroles', ['r'])], roles)
    assert.equal(write(bind('ClusterRole', 'r'), right), undefined)
    const other = context([may('bind', 'clusterroles', ['x'])], roles)
    assert.equal(write(bind('ClusterRole', 'r'), other)?.code, 403)
    const masters = context([], roles, { name: 'root', groups: ['system:masters'] })
    assert.equal(write(bind('ClusterRole', 'gone'), masters), undefined)
    const held = bind('ClusterRole', 'r', { finalizers: ['a'] })
    assert.equal(write(bind('ClusterRole', 'r'), context([], roles), held), undefined)
  })
})

describe('uncovered()', () => {
  const list = (...values: string[]) => fc.subarray(values, { minLength: 1 })
  const rule = fc.record({
    verbs: list('get', 'list', '*'),
    apiGroups: list('', 'apps', '*'),
    resources: list('pods', 'pods/log', '*/log', '*'),
    resourceNames: fc.subarray(['a', 'b']),
  })

  it('is empty exactly when every allowed request of the servant is one of the owner', () => {
    const requests = fc.record({
      verb: fc.constantFrom('get', 'list', 'watch'),
      group: fc.constantFrom('', 'apps', 'batch'),
      resource: fc.constantFrom('pods', 'services'),
      subresource: fc.constantFrom('', 'log', 'status'),
      name: fc.constantFrom('', 'a', 'b', 'c'),
    })
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 3 }), rule, requests, (owner, servant, asked) => {
        const owned = owner.map(policyRule)
        const wanted = policyRule(servant)
        fc.pre(uncovered(owned, [wanted]).length === 0)
        const request = { user: eve, ...asked }
        if (ruleAllows(wanted, request)) assert.ok(owned.some(held => ruleAllows(held, request)))
      }),
    )
  })

  it('covers itself, and nothing by nothing', () => {
    fc.assert(
      fc.property(rule, fields => {
        const one = policyRule(fields)
        assert.deepEqual(uncovered([one], [one]), [])
        assert.notDeepEqual(uncovered([], [one]), [])
      }),
    )
  })
})
