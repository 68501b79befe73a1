// Policies that change what is written: merged configurations, JSON patches, conditions, variables, parameters, a second
// round, and what happens when one fails. A real server stores ConfigMaps.

import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const GROUP = '/apis/admissionregistration.k8s.io/v1'
const POLICIES = `${GROUP}/mutatingadmissionpolicies`
const BINDINGS = `${GROUP}/mutatingadmissionpolicybindings`
const MAPS = '/api/v1/namespaces/default/configmaps'
const RULE = { operations: ['CREATE', 'UPDATE'], apiGroups: [''], apiVersions: ['v1'] }

const { admin: client } = await serverForFile()
afterEach(async () => {
  for (const path of [BINDINGS, POLICIES, MAPS]) await client.send({ method: 'DELETE', path })
})

const post = (path: string, body: JsonObject): Promise<ApiAnswer> =>
  client.send({ method: 'POST', path, body })

const configure = (expression: string): JsonObject => ({
  patchType: 'ApplyConfiguration',
  applyConfiguration: { expression },
})
const patch = (expression: string): JsonObject => ({
  patchType: 'JSONPatch',
  jsonPatch: { expression },
})

const policy = (name: string, mutations: JsonObject[], spec: JsonObject = {}): JsonObject => ({
  metadata: { name },
  spec: {
    reinvocationPolicy: 'Never',
    matchConstraints: { resourceRules: [{ ...RULE, resources: ['configmaps'] }] },
    mutations,
    ...spec,
  },
})

/** A policy with one binding of its name, both in place. */
async function install(
  name: string,
  mutations: JsonObject[],
  { spec = {}, binding = {} }: { spec?: JsonObject; binding?: JsonObject } = {},
): Promise<void> {
  const made = await post(POLICIES, policy(name, mutations, spec))
  assert.equal(made.status, 201, made.bytes.toString())
  const bound = await post(BINDINGS, { metadata: { name }, spec: { policyName: name, ...binding } })
  assert.equal(bound.status, 201, bound.bytes.toString())
}

const create = (name: string, data: JsonObject, labels: JsonObject = {}): Promise<ApiAnswer> =>
  post(MAPS, { metadata: { name, labels }, data })

const dataOf = (answer: ApiAnswer): unknown => {
  assert.ok(answer.status < 300, answer.bytes.toString())
  return answer.json().data
}

test('a configuration is merged into what is written, on updates too', async () => {
  const expression =
    'Object{metadata: Object.metadata{labels: {"seen": "by-policy"}}, data: {"size": string(size(object.data))}}'
  await install('merge', [configure(expression)])
  const made = await create('fruit', { pear: 'green', plum: 'blue' }, { kind: 'fruit' })
  assert.deepEqual(dataOf(made), { pear: 'green', plum: 'blue', size: '2' })
  assert.deepEqual(made.json().metadata, {
    ...(made.json().metadata as JsonObject),
    labels: { kind: 'fruit', seen: 'by-policy' },
  })
  const put = { metadata: { name: 'fruit' }, data: { fig: 'brown' } }
  const changed = await client.send({ method: 'PUT', path: `${MAPS}/fruit`, body: put })
  assert.deepEqual(dataOf(changed), { fig: 'brown', size: '1' })
})

test('a JSON patch is applied, and not at all when its test fails', async () => {
  const operations = [
    'JSONPatch{op: "test", path: "/data/open", value: "yes"}',
    'JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("k"), value: "v"}',
    'JSONPatch{op: "add", path: "/metadata/annotations", value: Object.metadata.annotations{note: "n"}}',
  ]
  await install('patch', [patch(`[${operations.join(', ')}]`)])
  const made = await create('open', { open: 'yes' })
  assert.deepEqual(dataOf(made), { open: 'yes', k: 'v' })
  const { annotations } = made.json().metadata as JsonObject
  assert.deepEqual(annotations, { note: 'n' })
  assert.deepEqual(dataOf(await create('shut', { open: 'no' })), { open: 'no' })
})

test('conditions, variables and parameters decide what becomes of an object', async () => {
  await create('settings', { suffix: 'th' }, { role: 'settings' })
  await install('ordinal', [configure('Object{data: {"text": variables.text}}')], {
    spec: {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      matchConditions: [{ name: 'numbered', expression: 'has(object.data.number)' }],
      variables: [{ name: 'text', expression: 'object.data.number + params.data.suffix' }],
    },
    binding: {
      paramRef: {
        selector: { matchLabels: { role: 'settings' } },
        parameterNotFoundAction: 'Deny',
      },
    },
  })
  assert.deepEqual(dataOf(await create('four', { number: '4' })), { number: '4', text: '4th' })
  assert.deepEqual(dataOf(await create('none', { letter: 'a' })), { letter: 'a' })
})

test('who asks for it sees what later policies made of the object', async () => {
  const append = (what: string): JsonObject =>
    configure(`Object{data: {"log": object.data.?log.orValue("") + "${what}"}}`)
  await install('a-first', [append('a')], { spec: { reinvocationPolicy: 'IfNeeded' } })
  await install('b-second', [append('b')])
  assert.deepEqual(dataOf(await create('log', { log: '' })), { log: 'aba' })
})

test('what fails refuses the request, unless the policy says Ignore', async () => {
  const broken = configure('Object{data: {"x": object.data.absent}}')
  await install('strict', [broken])
  const refused = await create('one', { a: 'b' })
  assert.equal(refused.status, 403)
  assert.equal(refused.json().reason, 'Invalid')
  const intro = "policy 'strict' with binding 'strict' denied request: "
  const why = `expression 'Object{data: {"x": object.data.absent}}' resulted in error: no such key: absent`
  assert.equal(refused.json().message, intro + why)
  await client.send({ method: 'DELETE', path: BINDINGS })
  await install('lenient', [broken, configure('Object{data: {"y": "z"}}')], {
    spec: { failurePolicy: 'Ignore' },
  })
  assert.deepEqual(dataOf(await create('two', { a: 'b' })), { a: 'b', y: 'z' })
})

const REFUSED: readonly (readonly [mutation: JsonObject, why: string])[] = [
  [
    configure('Object{metadata: Object.meta{name: "x"}}'),
    'type mismatch: unexpected type name "Object.meta", expected "Object.metadata", which matches field name path from root Object type',
  ],
  [
    configure('Object{shape: "round"}'),
    'error applying patch: failed to convert patch object to typed object: .shape: field not declared in schema',
  ],
  [
    patch('[JSONPatch{op: "remove", path: "/data/absent"}]'),
    "JSON Patch: error in remove for path: '/data/absent': Unable to remove nonexistent key: absent: missing value",
  ],
]

for (const [index, [mutation, why]] of REFUSED.entries()) {
  test(`a patch that does not fit refuses: ${why}`, async () => {
    await install(`odd-${index}`, [mutation])
    const { message } = (await create('one', { a: 'b' })).json()
    const intro = `policy 'odd-${index}' with binding 'odd-${index}' denied request: `
    assert.equal(message, intro + why)
  })
}

test('parts of what is owned as a whole are not changed', async () => {
  const resourceRules = [{ ...RULE, apiGroups: ['apps'], resources: ['deployments'] }]
  await install(
    'atomic',
    [
      configure(
        'Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"a": "b"}}}}',
      ),
    ],
    { spec: { matchConstraints: { resourceRules } } },
  )
  const template = {
    metadata: { labels: { app: 'x' } },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  }
  const answer = await post('/apis/apps/v1/namespaces/default/deployments', {
    metadata: { name: 'd' },
    spec: { selector: { matchLabels: { app: 'x' } }, template },
  })
  assert.match(
    String(answer.json().message),
    /invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: \.spec\.selector$/,
  )
})

const BAD_MUTATIONS: readonly (readonly [mutation: JsonObject, cause: string])[] = [
  [{}, 'patchType: Required value'],
  [configure('1'), 'must evaluate to Object but got int'],
  [configure('Object.spec{}'), 'must evaluate to Object but got Object.spec'],
  [configure('Thing{}'), "undeclared reference to 'Thing'"],
  [patch('[]'), 'must evaluate to list(JSONPatch) but got list(dyn)'],
  [patch('[JSONPatch{verb: "add"}]'), "undefined field 'verb'"],
  [
    patch('[JSONPatch{op: 1}]'),
    "expected type of field 'op' is 'string' but provided type is 'int'",
  ],
]

for (const [mutation, cause] of BAD_MUTATIONS) {
  test(`a policy is refused: ${cause}`, async () => {
    const answer = await post(POLICIES, policy('bad', [mutation]))
    assert.equal(answer.status, 422)
    assert.ok(String(answer.json().message).includes(cause), String(answer.json().message))
  })
}
