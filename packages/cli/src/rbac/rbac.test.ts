// podless rbac: the command line against a real server, and roles learned from what its audit log says.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type JsonObject, parseYaml } from '@podless/apimachinery'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { run } from '../../../../test/harness/child-process.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'
import { rolesFor, type Use } from './learn.ts'
import { readReason } from './why.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
const RBAC = '/apis/rbac.authorization.k8s.io/v1'

let server: TestServer
let client: ApiClient
let directory: string
const lines: string[] = []

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'podless-rbac-'))
  server = await startServer({
    audit: { policy: { rules: [{ level: 'Metadata' }] }, write: line => void lines.push(line) },
  })
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  await create(`${RBAC}/namespaces/default/roles`, {
    kind: 'Role',
    metadata: { name: 'reader' },
    rules: [
      { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get'] },
      { apiGroups: [''], resources: ['configmaps', 'pods/log'], verbs: ['get', 'list'] },
    ],
  })
  await create(`${RBAC}/namespaces/default/rolebindings`, {
    kind: 'RoleBinding',
    metadata: { name: 'readers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'ops' }],
  })
})
after(async () => {
  client.close()
  await server.close()
  await rm(directory, { recursive: true, force: true })
})

async function create(path: string, body: JsonObject): Promise<void> {
  const answer = await client.send({
    method: 'POST',
    path,
    body: { apiVersion: 'rbac.authorization.k8s.io/v1', ...body },
  })
  assert.equal(answer.status, 201, answer.bytes.toString())
}

async function rbac(...args: readonly string[]) {
  const flags = ['--disable-warning=ExperimentalWarning', MAIN, 'rbac', ...args]
  return await run(process.execPath, flags)
}

const why = (...args: readonly string[]) => rbac('why', ...args, '--kubeconfig', server.kubeconfig)

test('why names the binding, the role and the rule, and ends with 0', async () => {
  const { code, stdout } = await why('eve', 'get', 'configmaps', '-n', 'default', '--group', 'ops')
  assert.equal(
    stdout,
    `allowed: eve may get configmaps in default
binding: RoleBinding default/readers, to Group ops
role:    Role reader
rule:    {"verbs":["get","list"],"apiGroups":[""],"resources":["configmaps","pods/log"]}
`,
  )
  assert.equal(code, 0)
})

test('why finds the group of a resource, and knows subresources and paths', async () => {
  const group = ['-n', 'default', '--group', 'ops']
  const found = await why('eve', 'get', 'deployments', ...group)
  assert.match(found.stdout, /eve may get deployments of apps in default/)
  assert.equal((await why('eve', 'get', 'pods/log', ...group)).code, 0)
  const path = await why('eve', 'get', '/version')
  assert.match(path.stdout, /binding: ClusterRoleBinding system:discovery, to Group/)
  const admin = await why('root', 'delete', 'nodes', '--group', 'system:masters', '-o', 'json')
  assert.equal((JSON.parse(admin.stdout) as { allowed: boolean }).allowed, true)
})

test('why ends with 1 when denied and lists where the user is named', async () => {
  const { code, stdout } = await why('eve', 'list', 'secrets', '-n', 'default', '--group', 'ops')
  assert.equal(code, 1)
  assert.match(stdout, /^denied: eve may not list secrets in default\n/)
  assert.match(stdout, /RoleBinding default\/readers gives Role reader/)
})

test('learn prints roles under which the same requests go through', async () => {
  const as = { 'impersonate-user': 'robot', 'impersonate-group': 'system:masters' }
  const requests = [
    { path: '/api/v1/namespaces/default/configmaps/kube-root-ca.crt' },
    { path: '/api/v1/namespaces/default/serviceaccounts' },
    { path: '/api/v1/nodes' },
    { path: '/metrics' },
    { path: '/apis' },
  ]
  for (const { path } of requests) await client.send({ path, headers: as })
  const log = join(directory, 'audit.log')
  await writeFile(log, lines.join(''))
  const { code, stdout, stderr } = await rbac('learn', '--audit-log', log, '--user', 'robot')
  assert.equal(code, 0, stderr)
  const roles = stdout.split('---\n').map(text => parseYaml(text, { strict: true }).value)
  assert.deepEqual(
    roles.map(role => (role as JsonObject).rules),
    [
      [
        { apiGroups: [''], resources: ['nodes'], verbs: ['list'] },
        { nonResourceURLs: ['/metrics'], verbs: ['get'] },
      ],
      [
        {
          apiGroups: [''],
          resources: ['configmaps'],
          resourceNames: ['kube-root-ca.crt'],
          verbs: ['get'],
        },
        { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['list'] },
      ],
    ],
  )
  for (const role of roles as JsonObject[]) await bind(role)
  const headers = { 'impersonate-user': 'robot' }
  for (const { path } of requests)
    assert.equal((await client.send({ path, headers })).status, 200, path)
  const other = await client.send({ path: '/api/v1/namespaces/default/configmaps', headers })
  assert.equal(other.status, 403)
})

async function bind(role: JsonObject): Promise<void> {
  const { name, namespace = '' } = role.metadata as { name: string; namespace?: string }
  const scope = namespace === '' ? `${RBAC}/cluster` : `${RBAC}/namespaces/${namespace}/`
  const kind = String(role.kind)
  await create(`${scope}roles`, role)
  await create(`${scope}rolebindings`, {
    kind: `${kind}Binding`,
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'robot' }],
  })
}

test('learn prints a List in JSON when asked to', async () => {
  const log = join(directory, 'one.log')
  const event = {
    user: { username: 'robot' },
    verb: 'list',
    objectRef: { resource: 'secrets', namespace: 'default' },
    annotations: { 'authorization.k8s.io/decision': 'allow' },
  }
  await writeFile(log, `${JSON.stringify(event)}\n`)
  const { stdout } = await rbac('learn', '--audit-log', log, '--user', 'robot', '-o', 'json')
  const { kind, items } = JSON.parse(stdout) as { kind: string; items: JsonObject[] }
  assert.equal(kind, 'List')
  assert.deepEqual(
    items.map(item => [item.kind, item.rules]),
    [['Role', [{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }]]],
  )
})

test('learn says so when there is nothing to learn from', async () => {
  const log = join(directory, 'audit-of-nobody.log')
  await writeFile(log, '')
  const { code, stderr } = await rbac('learn', '--audit-log', log, '--user', 'nobody')
  assert.equal(code, 65)
  assert.match(stderr, /shows nothing that nobody did/)
})

test('rules of equal verbs are one, and many names are none', () => {
  const use = (resource: string, verb: string, name = ''): Use => ({
    namespace: 'a',
    group: '',
    resource,
    verb,
    name,
  })
  const many = Array.from({ length: 20 }, (_, n) => use('secrets', 'get', `s-${n}`))
  const [role] = rolesFor(
    [
      use('pods', 'list'),
      use('pods', 'watch'),
      use('nodes', 'watch'),
      use('nodes', 'list'),
      ...many,
    ],
    'r',
  )
  assert.deepEqual(role?.rules, [
    { apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['get'] },
  ])
})

test('a reason with odd names is read as it was written', () => {
  const reason =
    'RBAC: allowed by RoleBinding "a:b/ns" of ClusterRole "c \\"d\\"" to ServiceAccount "e/ns"'
  assert.deepEqual(readReason(reason), {
    binding: { kind: 'RoleBinding', name: 'a:b', namespace: 'ns' },
    role: { kind: 'ClusterRole', name: 'c "d"' },
    subject: { kind: 'ServiceAccount', name: 'e/ns' },
  })
  assert.equal(readReason(''), undefined)
})
