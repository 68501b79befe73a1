// Protobuf on the wire, as Go clients speak it for built-in kinds: requests, answers, lists, watches, metadata views and
// errors, against the same objects as JSON.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import {
  decodeProtobuf,
  encodeProtobuf,
  type GroupVersionKind,
  type JsonObject,
} from '../../../packages/apimachinery/src/index.ts'
import { type ApiAnswer, ApiClient, accessOf } from '../../harness/api-client.ts'
import { startServer, type TestServer } from '../../harness/server.ts'

const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const PATH = '/api/v1/namespaces/default/configmaps'
const CONFIG_MAP: GroupVersionKind = { group: '', version: 'v1', kind: 'ConfigMap' }
const asMetadata = (kind: string): string => `${PROTOBUF};as=${kind};g=meta.k8s.io;v=v1`

const configMap = (name: string): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: { app: 'wire' } },
  data: { a: 'ä' },
})

describe('protobuf on the wire', () => {
  let server: TestServer
  let client: ApiClient

  const send = (
    method: string,
    path: string,
    body?: JsonObject,
    accept = PROTOBUF,
  ): Promise<ApiAnswer> =>
    client.send({
      method,
      path,
      headers: { accept, 'content-type': PROTOBUF },
      ...(body === undefined ? {} : { body: encodeProtobuf(body) }),
    })
  const decoded = (answer: ApiAnswer, kind = CONFIG_MAP): JsonObject => {
    assert.equal(answer.headers['content-type'], PROTOBUF)
    return decodeProtobuf(answer.bytes, kind)
  }
  const asJson = async (path: string): Promise<JsonObject> => (await client.send({ path })).json()

  before(async () => {
    server = await startServer()
    client = new ApiClient(accessOf(await readFile(server.kubeconfig, 'utf8')))
  })
  after(async () => {
    client.close()
    await server.close()
  })

  it('creates, reads, updates and deletes', async () => {
    const created = await send('POST', PATH, configMap('one'))
    assert.equal(created.status, 201)
    assert.deepEqual(decoded(created), await asJson(`${PATH}/one`))
    const changed = { ...decoded(created), data: { b: '2' } }
    assert.equal((await send('PUT', `${PATH}/one`, changed)).status, 200)
    const read = decoded(await send('GET', `${PATH}/one`))
    assert.deepEqual(read.data, { b: '2' })
    const options = { apiVersion: 'meta.k8s.io/v1', kind: 'DeleteOptions', dryRun: ['All'] }
    assert.equal((await send('DELETE', `${PATH}/one`, options)).status, 200)
    assert.equal((await send('GET', `${PATH}/one`)).status, 200)
    const gone = await send('DELETE', `${PATH}/one`)
    assert.equal(decoded(gone, { group: '', version: 'v1', kind: 'Status' }).status, 'Success')
  })

  it('lists, also as metadata, and tells errors', async () => {
    await send('POST', PATH, configMap('two'))
    const query = `${PATH}?labelSelector=app%3Dwire`
    const list = decoded(await send('GET', query), { ...CONFIG_MAP, kind: 'ConfigMapList' })
    const { items } = await asJson(query)
    assert.deepEqual(list.items, items)
    const meta: GroupVersionKind = { group: 'meta.k8s.io', version: 'v1', kind: '' }
    const one = await send('GET', `${PATH}/two`, undefined, asMetadata('PartialObjectMetadata'))
    const { metadata } = await asJson(`${PATH}/two`)
    assert.deepEqual(decoded(one, meta).metadata, metadata)
    const many = await send('GET', query, undefined, asMetadata('PartialObjectMetadataList'))
    assert.equal(decoded(many, meta).kind, 'PartialObjectMetadataList')
    assert.equal(decoded(many, meta).apiVersion, 'meta.k8s.io/v1')
    const missing = decoded(await send('GET', `${PATH}/none`), {
      group: '',
      version: 'v1',
      kind: 'Status',
    })
    assert.equal(missing.reason, 'NotFound')
  })

  it('watches in frames of length, type and object', async () => {
    await send('POST', PATH, configMap('three'))
    const { promise, resolve } = Promise.withResolvers<Buffer>()
    let received = Buffer.alloc(0)
    const stream = await client.watch(
      {
        path: `${PATH}?watch=true&fieldSelector=metadata.name%3Dthree`,
        headers: { accept: `${PROTOBUF};stream=watch` },
      },
      bytes => {
        received = Buffer.concat([received, bytes])
        if (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0))
          resolve(received.subarray(4, 4 + received.readUInt32BE(0)))
      },
    )
    const frame = await promise
    stream.close()
    assert.equal(stream.headers['content-type'], `${PROTOBUF};stream=watch`)
    assert.equal(frame.subarray(0, 7).toString(), '\n\u0005ADDED')
    const object = decodeProtobuf(frame.subarray(frame.indexOf('k8s\0')), CONFIG_MAP)
    assert.deepEqual(object, await asJson(`${PATH}/three`))
  })

  it('has none for tables', async () => {
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    const table = `${PROTOBUF};as=Table;g=meta.k8s.io;v=v1,application/json`
    const answer = await send('GET', crds, undefined, table)
    assert.equal(answer.headers['content-type'], 'application/json')
  })
})
