// Sends requests about custom resources whose answers Kubernetes' own CRD server gave (recorded-crd-answers.data.json),
// and compares: the code, the words, the warnings, what was stored.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { JsonObject, JsonValue } from '@podless/apimachinery'
import type { ApiAnswer } from '../../../../test/harness/api-client.ts'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'

interface Answered {
  readonly method?: string
  /** Below the collection. */
  readonly path?: string
  readonly body?: JsonValue
  readonly type?: string
  readonly code: number
  readonly message?: string
  readonly warning?: string
  readonly spec?: JsonValue
  readonly status?: JsonValue
}

/** Not a request: the schema is another one from here on. */
interface SchemaChange {
  readonly schema: JsonObject
}

interface Recording {
  readonly formats: {
    readonly values: readonly string[]
    readonly accepted: Readonly<Record<string, readonly string[]>>
  }
  readonly groups: readonly {
    readonly name: string
    readonly version: JsonObject
    readonly requests: readonly (Answered | SchemaChange)[]
  }[]
}

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const file = new URL('recorded-crd-answers.data.json', import.meta.url)
const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording

const { admin: client } = await serverForFile()

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 10))
}

/** Creates a cluster-scoped CRD of kind Thing; returns the path of its objects once they are served. */
async function define(group: string, version: JsonObject): Promise<string> {
  const made = await client.send({
    method: 'POST',
    path: CRDS,
    body: {
      metadata: { name: `things.${group}` },
      spec: {
        group,
        scope: 'Cluster',
        names: { plural: 'things', kind: 'Thing' },
        versions: [{ name: 'v1', served: true, storage: true, ...version }],
      },
    },
  })
  assert.equal(made.status, 201, made.bytes.toString())
  const path = `/apis/${group}/v1/things`
  await until(async () => (await client.send({ method: 'GET', path })).status === 200)
  return path
}

/** Gives the CRD another schema, and waits until it is the one that is served. */
async function change(group: string, schema: JsonObject): Promise<void> {
  const field = '/spec/versions/0/schema/openAPIV3Schema'
  const body = JSON.stringify([{ op: 'replace', path: field, value: schema }])
  const headers = { 'content-type': 'application/json-patch+json' }
  const path = `${CRDS}/things.${group}`
  assert.equal((await client.send({ method: 'PATCH', path, body, headers })).status, 200)
  const wanted = new Set(Object.keys((schema.properties as JsonObject).spec as JsonObject))
  await until(async () => {
    const doc = (await client.send({ method: 'GET', path: `/openapi/v3/apis/${group}/v1` })).json()
    const text = JSON.stringify(doc)
    return [...wanted].every(key => text.includes(`"${key}"`))
  })
}

function send(group: string, base: string, answered: Answered): Promise<ApiAnswer> {
  const { method = 'POST', path = '', body, type } = answered
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return client.send({
    method,
    path: `${base}${path}`,
    ...(body === undefined ? {} : { body: Buffer.from(text.replaceAll('{G}', group)) }),
    headers: { 'content-type': type ?? 'application/json' },
  })
}

/** Causes come in the order of Go's maps, which is none. */
const unordered = (text: string | undefined): readonly string[] =>
  (text ?? '').split(/, (?=spec|status|metadata)|[[\]]/).sort()

describe('answers about custom resources', () => {
  for (const { name, version, requests } of recording.groups) {
    it(name, async () => {
      const group = `${name}.example.com`
      const base = await define(group, version)
      for (const expected of requests) {
        if ('schema' in expected) {
          await change(group, expected.schema)
          continue
        }
        const answer = await send(group, base, expected)
        const { kind, message, spec, status } = answer.json() as JsonObject
        const what = JSON.stringify(expected)
        assert.equal(answer.status, expected.code, `${what} ${answer.bytes}`)
        const said =
          kind === 'Status' ? String(message ?? '').replaceAll(group, 'GROUP') : undefined
        assert.deepEqual(unordered(said), unordered(expected.message), what)
        assert.equal(String(answer.headers.warning ?? ''), expected.warning ?? '', what)
        if (kind !== 'Thing') continue
        assert.deepEqual({ spec, status }, { spec: expected.spec, status: expected.status }, what)
      }
    })
  }

  it('formats', async () => {
    const { values, accepted } = recording.formats
    const formats = Object.keys(accepted)
    const fieldOf = (format: string): string => format.replaceAll('-', '')
    const properties = Object.fromEntries(
      formats.map(format => [fieldOf(format), { type: 'string', format }]),
    )
    const schema = { type: 'object', properties: { spec: { type: 'object', properties } } }
    const base = await define('formats.example.com', { schema: { openAPIV3Schema: schema } })
    for (const format of formats) {
      const taken: string[] = []
      for (const value of values) {
        const body = { metadata: { generateName: 'f-' }, spec: { [fieldOf(format)]: value } }
        const thing = { apiVersion: 'formats.example.com/v1', kind: 'Thing', ...body }
        const path = `${base}?dryRun=All`
        const answer = await client.send({ method: 'POST', path, body: thing })
        if (answer.status === 201) taken.push(value)
      }
      assert.deepEqual(taken, accepted[format], format)
    }
  })
})
