// OpenAPI documents as clients ask for them: which form they get, and when they have it already.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '../registry.ts'
import { builtinResources } from '../resources/index.ts'
import type { Incoming, Reply } from '../serving/exchange.ts'
import { OpenApi } from './openapi.ts'
import { ServedGroups } from './served-groups.ts'

const MESSAGE = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'
/** How client-go names it. */
const OLD_NAME = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
const JSON_TYPE = 'application/json'

/** Documents of a few kinds, as no test needs them all. */
const served = builtinResources().filter(({ gvr }) => gvr.group === 'coordination.k8s.io')

function documents(): { openApi: OpenApi; registry: Registry } {
  const registry = new Registry()
  registry.replace('', served)
  return { openApi: new OpenApi(new ServedGroups(registry)), registry }
}

const asking = (headers: Readonly<Record<string, string>> = {}): Incoming =>
  ({ header: (name: string) => headers[name] }) as Incoming

const bytesOf = ({ body }: Reply): Buffer | string => (body.type === 'bytes' ? body.bytes : '')
const etagOf = ({ headers }: Reply): string => headers?.etag ?? ''

const ACCEPTED: readonly (readonly [accept: string | undefined, answer: string])[] = [
  [undefined, JSON_TYPE],
  ['', JSON_TYPE],
  ['*/*', JSON_TYPE],
  ['application/*', JSON_TYPE],
  ['application/json;charset=utf-8', JSON_TYPE],
  ['text/plain, */*', JSON_TYPE],
  [OLD_NAME, MESSAGE],
  [MESSAGE, MESSAGE],
  [`${OLD_NAME}, application/json`, MESSAGE],
  [`application/json, ${OLD_NAME}`, JSON_TYPE],
  [`application/json;q=0.1, ${OLD_NAME}`, MESSAGE],
  [`${OLD_NAME};q=0.1, application/json`, JSON_TYPE],
]

for (const [accept, answer] of ACCEPTED) {
  test(`v2 is ${answer} to a client that accepts ${accept ?? 'anything'}`, () => {
    const { openApi } = documents()
    const reply = openApi.v2(asking(accept === undefined ? {} : { accept }))
    assert.equal(reply.code, 200)
    assert.equal(reply.contentType, answer)
    assert.equal(reply.headers?.vary, 'Accept')
    const start = Buffer.from(bytesOf(reply)).subarray(0, 5).toString('latin1')
    assert.equal(start, answer === MESSAGE ? '\n\x032.0' : '{"swa')
  })
}

test('a type that is none of a document’s forms is 406 without a body', () => {
  const { openApi } = documents()
  for (const accept of ['text/plain', 'application/yaml', MESSAGE.replace('v2', 'v3')]) {
    for (const reply of [
      openApi.v2(asking({ accept })),
      openApi.groupVersion(asking({ accept }), 'apis/coordination.k8s.io/v1'),
    ]) {
      assert.equal(reply.code, 406, accept)
      assert.equal(bytesOf(reply), '')
    }
  }
})

test('a client that names the tag it has gets 304, in either form and however it writes the tag', () => {
  const { openApi } = documents()
  const etag = etagOf(openApi.v2(asking()))
  assert.match(etag, /^"[0-9A-F]{128}"$/)
  assert.equal(etagOf(openApi.v2(asking({ accept: MESSAGE }))), etag)
  for (const known of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
    const reply = openApi.v2(asking({ accept: MESSAGE, 'if-none-match': known }))
    assert.deepEqual([reply.code, bytesOf(reply), etagOf(reply)], [304, '', etag], known)
  }
  assert.equal(openApi.v2(asking({ 'if-none-match': etag.slice(1, -1) })).code, 200)
})

test('a form is built once, and anew when what is served changes', () => {
  const { openApi, registry } = documents()
  const first = openApi.v2(asking({ accept: MESSAGE }))
  assert.equal(bytesOf(openApi.v2(asking({ accept: MESSAGE }))), bytesOf(first))
  registry.replace('', [
    ...served,
    ...builtinResources().filter(({ gvr }) => gvr.group === 'node.k8s.io'),
  ])
  const next = openApi.v2(asking({ accept: MESSAGE, 'if-none-match': etagOf(first) }))
  assert.equal(next.code, 200)
  assert.ok(bytesOf(next).includes('io.k8s.api.node.v1.RuntimeClass'))
  assert.ok(!bytesOf(first).includes('io.k8s.api.node.v1.RuntimeClass'))
})
