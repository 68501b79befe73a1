// The last byte of an answer, which clients that compare or append bodies see.
// Ref: apimachinery/pkg/runtime/serializer/json/json.go doEncode

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

const CONFIGMAPS = '/api/v1/namespaces/default/configmaps'
const TABLE = 'application/json;as=Table;g=meta.k8s.io;v=v1'

const { admin: client } = await serverForFile()
before(async () => {
  await client.send({
    method: 'POST',
    path: CONFIGMAPS,
    headers: { 'content-type': 'application/json' },
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } },
  })
})

const textOf = async (path: string, accept = 'application/json'): Promise<string> =>
  (await client.send({ method: 'GET', path, headers: { accept } })).bytes.toString()

test('JSON ends its line, whether stored, listed, made for the answer or an error', async () => {
  const paths = [`${CONFIGMAPS}/a`, CONFIGMAPS, `${CONFIGMAPS}/none`]
  const texts = await Promise.all([
    ...paths.map(path => textOf(path)),
    textOf(CONFIGMAPS, TABLE),
    textOf(`${CONFIGMAPS}/a`, TABLE),
  ])
  for (const text of texts) assert.match(text, /^\{.*\}\n$/)
})

test('indented JSON does not, nor what is answered where no format is agreed on', async () => {
  const texts = await Promise.all([
    textOf(`${CONFIGMAPS}/a?pretty=1`),
    textOf(`${CONFIGMAPS}?pretty=1`),
    textOf(`${CONFIGMAPS}/a`, 'text/csv'),
  ])
  for (const text of texts) assert.match(text, /^\{\n {2}".*\n\}$/s)
})
