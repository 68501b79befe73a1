// Policies as a cluster's owner writes them: bindings, parameters, conditions, variables, and what each action does with
// a refusal. A real server judges ConfigMaps.

import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const GROUP = '/apis/admissionregistration.k8s.io/v1'
const POLICIES = `${GROUP}/validatingadmissionpolicies`
const BINDINGS = `${GROUP}/validatingadmissionpolicybindings`
const MAPS = '/api/v1/namespaces/default/configmaps'
const RULES = [
  {
    operations: ['CREATE', 'UPDATE'],
    apiGroups: [''],
    apiVersions: ['v1'],
    resources: ['configmaps'],
  },
]

const { admin: client } = await serverForFile()
afterEach(async () => {
  for (const path of [BINDINGS, POLICIES, MAPS]) await client.send({ method: 'DELETE', path })
})

async function post(path: string, body: JsonObject): Promise<ApiAnswer> {
  return await client.send({ method: 'POST', path, body })
}

const policy = (spec: JsonObject): JsonObject => ({
  metadata: { name: 'rule' },
  spec: { matchConstraints: { resourceRules: RULES }, ...spec },
})

/** A policy with one binding, both in place. */
async function install(spec: JsonObject, binding: JsonObject = {}): Promise<void> {
  assert.equal((await post(POLICIES, policy(spec))).status, 201)
  const bound = { policyName: 'rule', validationActions: ['Deny'], ...binding }
  const made = await post(BINDINGS, { metadata: { name: 'bound' }, spec: bound })
  assert.equal(made.status, 201, made.bytes.toString())
}

const create = (name: string, data: JsonObject = {}): Promise<ApiAnswer> =>
  post(MAPS, { metadata: { name }, data })

const denied = (why: string): string =>
  `ValidatingAdmissionPolicy 'rule' with binding 'bound' denied request: ${why}`

test('a failed validation refuses with its message, reason and cause', async () => {
  await install({
    variables: [{ name: 'count', expression: 'has(object.data) ? object.data.size() : 0' }],
    validations: [
      {
        expression: 'variables.count < 2',
        reason: 'Forbidden',
        messageExpression: '"not " + string(variables.count)',
      },
    ],
  })
  assert.equal((await create('one', { a: '1' })).status, 201)
  const answer = await create('two', { a: '1', b: '2' })
  assert.equal(answer.status, 403)
  const { reason, message, details } = answer.json()
  assert.equal(reason, 'Forbidden')
  assert.equal(message, `configmaps "two" is forbidden: ${denied('not 2')}`)
  assert.deepEqual(details, {
    name: 'two',
    kind: 'configmaps',
    causes: [{ message: denied('not 2') }],
  })
})

test('without message and reason the expression is told, as Invalid', async () => {
  await install({ validations: [{ expression: 'object.metadata.name == "ok"' }] })
  const answer = await create('other')
  assert.equal(answer.status, 422)
  assert.equal(answer.json().reason, 'Invalid')
  assert.match(String(answer.json().message), /failed expression: object\.metadata\.name == "ok"$/)
})

test('Warn lets the write through and warns', async () => {
  await install(
    { validations: [{ expression: 'false', message: 'no' }] },
    { validationActions: ['Warn', 'Audit'] },
  )
  const answer = await create('warned')
  assert.equal(answer.status, 201)
  const text = "Validation failed for ValidatingAdmissionPolicy 'rule' with binding 'bound': no"
  assert.equal(answer.headers.warning, `299 - "${text}"`)
})

test('an expression that fails at run time refuses, unless the policy says Ignore', async () => {
  const validations = [{ expression: 'object.data.missing == "x"' }]
  await install({ validations })
  const answer = await create('a', { b: 'c' })
  assert.equal(answer.status, 422)
  const why = `expression 'object.data.missing == "x"' resulted in error: no such key: missing`
  assert.ok(String(answer.json().message).endsWith(denied(why)))
  await client.send({
    method: 'PATCH',
    path: `${POLICIES}/rule`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { spec: { failurePolicy: 'Ignore' } },
  })
  assert.equal((await create('a', { b: 'c' })).status, 201)
})

test('a match condition that is false keeps the policy out', async () => {
  await install({
    matchConditions: [{ name: 'others', expression: 'request.name != "spared"' }],
    validations: [{ expression: 'false' }],
  })
  assert.equal((await create('spared')).status, 201)
  assert.equal((await create('judged')).status, 422)
})

test('rules choose by operation, resource name and selector', async () => {
  await install(
    { validations: [{ expression: 'false' }] },
    { matchResources: { objectSelector: { matchLabels: { judged: 'yes' } } } },
  )
  assert.equal((await create('plain')).status, 201)
  const labelled = { metadata: { name: 'l', labels: { judged: 'yes' } } }
  assert.equal((await post(MAPS, labelled)).status, 422)
  assert.equal((await client.send({ method: 'DELETE', path: `${MAPS}/plain` })).status, 200)
})

test('parameters come from the binding; a missing one does as the binding says', async () => {
  await create('limit', { max: '1' })
  const paramRef = { name: 'limit', namespace: 'default', parameterNotFoundAction: 'Deny' }
  await install(
    {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'object.data.size() <= int(params.data.max)' }],
    },
    { paramRef },
  )
  assert.equal((await create('one', { a: '1' })).status, 201)
  assert.equal((await create('two', { a: '1', b: '2' })).status, 422)
  await client.send({ method: 'DELETE', path: `${MAPS}/limit` })
  const missing = await create('three', { a: '1' })
  const why =
    'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction'
  assert.ok(String(missing.json().message).endsWith(denied(why)))
})

test('a policy whose expressions do not fit their variables is refused', async () => {
  const answer = await post(
    POLICIES,
    policy({
      variables: [{ name: 'n', expression: '1' }],
      validations: [
        { expression: 'variables.n' },
        { expression: 'variables.m == 1' },
        { expression: 'params.x == 1' },
      ],
    }),
  )
  assert.equal(answer.status, 422)
  const text = String(answer.json().message)
  assert.match(
    text,
    /validations\[0\]\.expression: Invalid value: "variables\.n": must evaluate to bool/,
  )
  assert.match(text, /undefined field 'm'/)
  assert.match(text, /undeclared reference to 'params'/)
})

test('an expression may ask what the user and others are allowed to do', async () => {
  await install({
    validations: [
      {
        expression: 'authorizer.requestResource.check("delete").allowed()',
        message: 'who creates may not delete',
      },
      {
        expression:
          'authorizer.serviceAccount("default", "robot").group("").resource("configmaps").namespace("default").check("get").allowed()',
        message: 'the robot may not read',
      },
    ],
  })
  const answer = await create('asked')
  assert.equal(answer.status, 422)
  const { details } = answer.json() as { details: { causes: { message: string }[] } }
  assert.deepEqual(
    details.causes.map(({ message }) => message),
    [denied('the robot may not read')],
  )
})

test('policies do not judge policies', async () => {
  const everything = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }]
  await install({
    matchConstraints: { resourceRules: everything },
    validations: [{ expression: 'false' }],
  })
  assert.equal((await client.send({ method: 'DELETE', path: `${POLICIES}/rule` })).status, 200)
})
