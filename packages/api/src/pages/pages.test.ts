// The documents beside objects, byte by byte where kube-apiserver's end: which are indented, which end their line.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeProtobuf } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

const { admin: client } = await serverForFile()

const get = (path: string, headers: Readonly<Record<string, string>> = {}): Promise<ApiAnswer> =>
  client.send({ path, headers })

const LEGACY = ['/api', '/apis', '/api/v1', '/apis/apps', '/apis/apps/v1']
/** Path, Accept header and the last bytes. */
const ENDS: readonly (readonly [path: string, accept: string, end: string])[] = [
  ...LEGACY.map(path => [path, 'application/json', '}\n'] as const),
  ...LEGACY.map(path => [`${path}?pretty=1`, 'application/json', '\n}'] as const),
  ['/apis/apps', 'application/yaml', 'version: v1\n'],
  ['/api', AGGREGATED, ']}\n'],
  ['/apis', AGGREGATED, ']}\n'],
  ['/version', 'application/json', '"\n}'],
  ['/', 'application/json', '\n  ]\n}'],
  ['/openapi/v2', 'application/json', '}]}'],
  ['/openapi/v3', 'application/json', '"}}}'],
  ['/openapi/v3/apis/apps/v1', 'application/json', '}}}'],
  ['/openid/v1/jwks', 'application/json', '}]}'],
  ['/readyz', '*/*', 'ok'],
]

for (const [path, accept, end] of ENDS) {
  test(`${path} as ${accept} ends in ${JSON.stringify(end)}`, async () => {
    const { status, bytes } = await get(path, { accept })
    assert.equal(status, 200)
    assert.equal(bytes.toString().slice(-end.length), end)
  })
}

test('JSON for everybody has no charset, which JSON never has', async () => {
  const types = { '/': 'application/json', '/openid/v1/jwks': 'application/jwk-set+json' }
  for (const [path, type] of Object.entries(types))
    assert.equal((await get(path)).headers['content-type'], type)
})

test('legacy discovery is there in protobuf, and says the same', async () => {
  for (const path of LEGACY) {
    const json = (await get(path)).json()
    const answer = await get(path, { accept: 'application/vnd.kubernetes.protobuf' })
    assert.equal(answer.headers['content-type'], 'application/vnd.kubernetes.protobuf')
    const expected = { group: '', version: 'v1', kind: String(json.kind) }
    const { apiVersion: _apiVersion, ...decoded } = decodeProtobuf(answer.bytes, expected)
    const { apiVersion: _own, ...said } = json
    assert.deepEqual(decoded, said, path)
  }
})

test('the aggregated form is for those who ask for it, and 304 for those who have it', async () => {
  const answer = await get('/apis', { accept: `${AGGREGATED},application/json` })
  assert.equal(answer.headers['content-type'], AGGREGATED)
  assert.equal(answer.headers['cache-control'], 'public')
  assert.equal(answer.headers.vary, 'Accept')
  const etag = String(answer.headers.etag)
  const again = await get('/apis', { accept: AGGREGATED, 'if-none-match': etag })
  assert.deepEqual([again.status, again.bytes.length], [304, 0])
  assert.equal((await get('/apis')).json().kind, 'APIGroupList')
  const older = AGGREGATED.replace('v=v2', 'v=v2beta1')
  assert.equal((await get('/apis', { accept: older })).status, 406)
  const either = await get('/apis', { accept: `${older},application/json` })
  assert.equal(either.json().kind, 'APIGroupList')
})
