// A VM's life with real programs: podless up, the line that vm add prints run by sh and curl below a folder, renewal,
// revocation; its bundle against istioctl's. What needs istiod and Envoy is in ../istiod and the mesh tests.

import assert from 'node:assert/strict'
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '../../../packages/apimachinery/src/index.ts'
import { type ApiAnswer, ApiClient } from '../../harness/api-client.ts'
import { type Finished, missingPrograms, run } from '../../harness/child-process.ts'
import { type Podless, podless, startPodless } from '../../harness/podless.ts'

const CRDS = fileURLToPath(new URL('crds.yaml', import.meta.url))
const NO_VM = missingPrograms('sh', 'curl', 'base64', 'flock')
const NO_ISTIOCTL = missingPrograms('istioctl')
const ROOT_CERT = '-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n'

interface AddedVm {
  readonly name: string
  readonly line: string
  readonly expires: string
}

describe('a VM', { skip: NO_VM }, () => {
  let folder: string
  let data: string
  let server: Podless
  let client: ApiClient

  const vm = (...args: readonly string[]): Promise<string> => podless('vm', ...args, '--data', data)
  const inVm = (...args: readonly string[]): Promise<string> => vm(...args, '--namespace', 'vm')
  const addVm = async (name: string, ...args: readonly string[]): Promise<AddedVm> =>
    JSON.parse(await inVm('add', name, '--output', 'json', ...args)) as AddedVm

  /** Pastes the line: its script writes below a folder of the VM's own. */
  const paste = async (line: string, root: string): Promise<Finished> =>
    await run('sh', ['-c', `${line} --prefix ${root}`])
  const joined = async (name: string, ...args: readonly string[]): Promise<string> => {
    const root = join(folder, name)
    const { line } = await addVm(name, ...args)
    const { code, stderr } = await paste(line, root)
    assert.equal(code, 0, stderr)
    return root
  }
  const renew = (root: string, ...args: readonly string[]): Promise<Finished> =>
    run('sh', ['var/lib/podless/renew.sh', ...args], { cwd: root })
  const token = (root: string): Promise<string> =>
    readFile(join(root, 'var/lib/podless/istio-token'), 'utf8')
  const credential = (root: string): Promise<string> =>
    readFile(join(root, 'var/lib/podless/credential'), 'utf8')

  /** What istiod asks when an agent shows the token. */
  const review = async (text: string, audience = 'istio-ca'): Promise<JsonObject> => {
    const answer = await client.send({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: text, audiences: [audience] },
      },
    })
    return answer.json().status as JsonObject
  }
  const secrets = async (): Promise<readonly string[]> => {
    const list = (await client.send({ path: '/api/v1/namespaces/vm/secrets' })).json()
    return (list.items as unknown as { metadata: { name: string } }[]).map(
      ({ metadata }) => metadata.name,
    )
  }
  const configMap = (namespace: string, name: string, key: string, text: string) =>
    client.send({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      body: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name },
        data: { [key]: text },
      },
    })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podless-vm-'))
    data = join(folder, 'data')
    server = await startPodless({ data, port: 0 })
    client = new ApiClient(server.admin)
    await podless('istio', 'install', '--from', CRDS, '--data', data)
  })
  after(async () => {
    client.close()
    await server.child.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('istio install changes nothing the second time', async () => {
    const printed = await podless('istio', 'install', '--from', CRDS, '--data', data)
    assert.match(printed, /configmap\/istio unchanged/)
    assert.doesNotMatch(printed, /created|configured/)
  })

  test('a mesh that is not ready costs no join token', async () => {
    const { line } = await addVm('early', '--group', 'app')
    const refused = await paste(line, join(folder, 'early'))
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /istiod has not published its root certificate in namespace vm/)
    await configMap('vm', 'istio-ca-root-cert', 'root-cert.pem', ROOT_CERT)
    assert.equal((await paste(line, join(folder, 'early'))).code, 0)
  })

  test('joins with the printed line, once', async () => {
    const { line } = await addVm('once', '--group', 'app')
    const results = await Promise.all([1, 2, 3].map(n => paste(line, join(folder, `once${n}`))))
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 1, 1])
    const later = await paste(line, join(folder, 'once4'))
    assert.equal(later.code, 1)
    assert.match(later.stderr, /join token was (?:just )?used .*podless vm renew/)
    await assert.rejects(access(join(folder, 'once4')))
  })

  test('an expired join token is refused, and deleted', async () => {
    const { line } = await addVm('late', '--group', 'app')
    const id = /podless-join\.vm\.(\w+)\./.exec(line)?.[1]
    const path = `/api/v1/namespaces/vm/secrets/podless-join-${id}`
    await client.send({
      method: 'PATCH',
      path,
      body: { stringData: { expires: '2020-01-01T00:00:00Z' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    const refused = await paste(line, join(folder, 'late'))
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /has expired; podless vm renew/)
    assert.equal((await client.send({ path })).status, 404)
  })

  test('another server behind the address is not trusted', async () => {
    const { line } = await addVm('pinned', '--group', 'app')
    const other = line.replace(/sha256\/\/\S{44}'/, `sha256//${'A'.repeat(43)}='`)
    assert.notEqual(other, line)
    const refused = await paste(other, join(folder, 'pinned'))
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /pinned|public key/i)
    assert.equal((await paste(line, join(folder, 'pinned'))).code, 0)
  })

  test('its token is for istiod, in the name of the ServiceAccount', async () => {
    const root = await joined('shop1', '--group', 'shop', '--service-account', 'shop')
    const status = await review(await token(root))
    assert.equal(status.authenticated, true)
    const user = status.user as { username: string; groups: string[] }
    assert.equal(user.username, 'system:serviceaccount:vm:shop')
    assert(user.groups.includes('system:serviceaccounts'))
  })

  test('its credentials open nothing of the API but its own renewal and bundle', async () => {
    const root = await joined('narrow', '--group', 'app')
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` })
    const anonymous = new ApiClient({ url: server.url, ca: server.admin.ca } as never)
    const ask = async (path: string, text: string, method = 'GET'): Promise<ApiAnswer> =>
      await anonymous.send({ method, path, headers: bearer(text) })
    const [istioToken, own] = [await token(root), await credential(root)]
    for (const path of ['/api/v1/namespaces/vm/secrets', '/apis', '/version', '/podless']) {
      assert.equal((await ask(path, own)).status, 401, `credential at ${path}`)
      assert.equal((await ask(path, istioToken)).status, 401, `istio-token at ${path}`)
    }
    assert.equal((await ask('/podless/v1/renew/credential', istioToken, 'POST')).status, 401)
    assert.equal((await ask('/podless/v1/join', own, 'POST')).status, 403)
    // Whatever it asks for, a VM gets its own bundle.
    const others = await ask('/podless/v1/bundle/cluster.env?namespace=vm&vm=shop1', own)
    assert.match(others.bytes.toString(), /^ISTIO_SERVICE='app\.vm'$/m)
    assert.equal((await anonymous.send({ path: '/podless/v1/bundle/cluster.env' })).status, 403)
    anonymous.close()
  })

  test('is the same VM with a certificate: by its name and group', async () => {
    await joined('certified', '--group', 'app')
    const as = (name: string, group: string) =>
      client.send({
        method: 'POST',
        path: '/podless/v1/renew/istio-token',
        headers: { 'impersonate-user': `podless:vm:vm:${name}`, 'impersonate-group': group },
      })
    const renewed = await as('certified', 'podless:vms')
    assert.equal(renewed.status, 200, renewed.bytes.toString())
    assert.equal((await review(renewed.bytes.toString())).authenticated, true)
    assert.equal((await as('nobody', 'podless:vms')).status, 404)
    assert.equal((await as('certified', 'podless:joining')).status, 403)
  })

  test('renewals at the same time do not mix its files up', async () => {
    const root = await joined('crowded', '--group', 'app')
    const ca = await readFile(join(root, 'etc/podless/ca.crt'), 'utf8')
    const results = await Promise.all([1, 2, 3, 4].map(() => renew(root, '--force')))
    for (const { code, stderr } of results) assert.equal(code, 0, stderr)
    assert.equal(await readFile(join(root, 'etc/podless/ca.crt'), 'utf8'), ca)
    assert.equal((await review(await token(root))).authenticated, true)
    assert.equal((await renew(root, '--force')).code, 0)
  })

  test('renews itself when it is due, and only then', async () => {
    const root = await joined('fresh', '--group', 'app')
    const first = await token(root)
    assert.equal((await renew(root)).code, 0)
    const second = await token(root)
    assert.notEqual(second, first, 'the first run proves the credential')
    assert.equal((await renew(root)).code, 0)
    assert.equal(await token(root), second, 'not due')
    assert.equal((await renew(root, '--force')).code, 0)
    assert.notEqual(await token(root), second)
    assert.equal((await review(await token(root))).authenticated, true)
  })

  test('a token that expired while the VM was off heals', async () => {
    const root = await joined('asleep', '--group', 'app')
    assert.equal((await renew(root)).code, 0)
    const claims = { iat: 1_600_000_000, exp: 1_600_086_400, sub: 'a>?~' }
    const part = Buffer.from(JSON.stringify(claims)).toString('base64url')
    await writeFile(join(root, 'var/lib/podless/istio-token'), `e30.${part}.c2ln`)
    const { code, stderr } = await renew(root)
    assert.equal(code, 0, stderr)
    assert.equal((await review(await token(root))).authenticated, true)
  })

  test('a change of its group reaches the VM with the next renewal', async () => {
    const root = await joined('moved', '--group', 'moving', '--port', 'http:8080')
    await addVm('moved', '--group', 'moving', '--port', 'metrics:9090')
    assert.equal((await renew(root, '--force')).code, 0)
    const env = await readFile(join(root, 'var/lib/istio/envoy/cluster.env'), 'utf8')
    assert.match(env, /^ISTIO_INBOUND_PORTS='8080,9090'$/m)
  })

  test('certificates of another root are left aside: a join brings fresh ones, and so does a new root', async () => {
    const root = await joined('rerooted', '--group', 'app')
    const files = ['cert-chain.pem', 'key.pem'].map(name => join(root, 'etc/certs', name))
    const issue = () => Promise.all(files.map(path => writeFile(path, 'issued')))
    const kept = () => Promise.all(files.map(path => access(path)))
    await issue()
    assert.equal((await renew(root, '--force')).code, 0)
    await kept()
    const { line } = await addVm('rerooted', '--group', 'app')
    assert.equal((await paste(line, root)).code, 0)
    await assert.rejects(kept())
    await issue()
    await writeFile(join(root, 'etc/podless/root-cert.pem'), 'another root')
    assert.equal((await renew(root, '--force')).code, 0)
    await assert.rejects(kept())
  })

  test('vm renew --revoke ends the credentials it had', async () => {
    const root = await joined('lost', '--group', 'app')
    const { line } = JSON.parse(
      await inVm('renew', 'lost', '--revoke', '--output', 'json'),
    ) as AddedVm
    const refused = await renew(root, '--force')
    assert.equal(refused.code, 77)
    assert.match(refused.stderr, /no longer knows this VM.*podless vm renew lost --namespace vm/)
    assert.equal((await review(await token(root))).authenticated, undefined)
    assert.equal((await paste(line, root)).code, 0)
    assert.equal((await renew(root, '--force')).code, 0)
  })

  test('vm list shows what is known of each', async () => {
    await joined('listed', '--group', 'app', '--address', '10.1.2.3')
    const { vms } = JSON.parse(await inVm('list', '--output', 'json')) as { vms: JsonObject[] }
    const listed = vms.find(({ name }) => name === 'listed')
    assert.equal(listed?.group, 'app')
    assert.equal(listed?.address, '10.1.2.3')
    assert.match(String(listed?.tokenExpires), /^20\d\d-/)
    assert.match(await inVm('list'), /^NAMESPACE +NAME +GROUP.*\n(?:.*\n)*vm +listed +app +10\.1/)
  })

  test('vm remove revokes, and takes its WorkloadEntry along', async () => {
    const root = await joined('leaving', '--group', 'leavers', '--address', '10.9.9.9')
    const entries = '/apis/networking.istio.io/v1/namespaces/vm/workloadentries'
    await client.send({
      method: 'POST',
      path: entries,
      body: {
        apiVersion: 'networking.istio.io/v1',
        kind: 'WorkloadEntry',
        metadata: { name: 'leavers-10.9.9.9', labels: { 'podless.dev/vm': 'leaving' } },
        spec: { address: '10.9.9.9' },
      },
    })
    await inVm('renew', 'leaving')
    const printed = await inVm('remove', 'leaving', '--group')
    assert.match(printed, /vm\/leaving deleted/)
    assert.match(printed, /workloadentry\/leavers-10\.9\.9\.9 deleted/)
    assert.match(printed, /workloadgroup\/leavers deleted/)
    assert.equal((await review(await token(root))).authenticated, undefined)
    assert.equal((await renew(root, '--force')).code, 77)
    assert.equal((await client.send({ path: `${entries}/leavers-10.9.9.9` })).status, 404)
    assert.deepEqual(
      (await secrets()).filter(name => name === 'podless-vm-leaving'),
      [],
    )
    await assert.rejects(inVm('renew', 'leaving'), /there is no VM leaving in namespace vm/)
  })

  test('its bundle is the one that istioctl writes', { skip: NO_ISTIOCTL }, async () => {
    const args = ['--port', 'http:8080', '--probe', 'http:8080/ready', '--labels', 'version=v1']
    await addVm('same', '--group', 'same', '--address', '10.1.2.3', ...args)
    const [theirs, ours] = [join(folder, 'theirs'), join(folder, 'ours')]
    const configure = ['x', 'workload', 'entry', 'configure', '--autoregister', '--name', 'same']
    const { code, stderr } = await run('istioctl', [
      ...configure,
      ...['-n', 'vm', '-o', theirs, '--internalIP', '10.1.2.3'],
      ...['--kubeconfig', server.kubeconfig],
    ])
    assert.equal(code, 0, stderr)
    await inVm('bundle', 'same', '--output', ours)
    for (const file of ['cluster.env', 'mesh.yaml', 'root-cert.pem', 'hosts']) {
      const [expected, actual] = await Promise.all(
        [theirs, ours].map(path => readFile(join(path, file), 'utf8')),
      )
      assert.equal(actual, expected, file)
    }
    const text = await readFile(join(ours, 'istio-token'), 'utf8')
    assert.equal((await review(text)).authenticated, true)
  })
})
