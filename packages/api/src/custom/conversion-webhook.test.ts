// A CRD whose versions a webhook converts, against a real HTTPS server: every verb in both versions, what the webhook
// may not change, and what clients see while it is down.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import type { JsonObject, KubeObject } from '@podless/apimachinery'
import { openPki, openServingCertificate } from '@podless/identity'
import {
  type ApiAnswer,
  ApiClient,
  eventReader,
  type WatchedEvent,
} from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

interface Review {
  readonly request: { uid: string; desiredAPIVersion: string; objects: KubeObject[] }
}

const GROUP = 'convert.example.com'
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const CRD = `${CRDS}/cups.${GROUP}`
const at = (version: string, name = ''): string =>
  `/apis/${GROUP}/${version}/namespaces/default/cups${name === '' ? '' : `/${name}`}`

let server: TestServer
let client: ApiClient
let hook: Server
let caBundle: string
let reviews: Review['request'][]
/** What admission showed of objects, as `VERSION spec`. */
let admitted: string[]
/** Changes what the webhook would answer. */
let tamper: (response: JsonObject) => JsonObject

/** v1 holds `spec.size: "3cl"`, v2 holds `spec.centilitres: 3`. */
function converted(object: KubeObject, apiVersion: string): KubeObject {
  const { size, centilitres, ...rest } = object.spec as JsonObject
  const spec = apiVersion.endsWith('/v1')
    ? { ...rest, size: `${String(centilitres)}cl` }
    : { ...rest, centilitres: Number.parseInt(String(size), 10) }
  return { ...object, apiVersion, spec }
}

interface AdmissionReview extends JsonObject {
  request: { uid: string; object: KubeObject } & JsonObject
}

/** Lets everything through, with one centilitre more: it knows v2 only. */
function admit({ request, ...rest }: AdmissionReview): JsonObject {
  const { spec, apiVersion } = request.object
  admitted.push(`${apiVersion.split('/')[1]} ${JSON.stringify(spec)}`)
  const value = Number((spec as JsonObject).centilitres) + 1
  const patch = Buffer.from(
    JSON.stringify([{ op: 'replace', path: '/spec/centilitres', value }]),
  ).toString('base64')
  return { ...rest, response: { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch } }
}

before(async () => {
  hook = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      response.setHeader('content-type', 'application/json')
      if (request.url?.startsWith('/admit') === true) {
        response.end(JSON.stringify(admit(JSON.parse(text) as AdmissionReview)))
        return
      }
      const review = JSON.parse(text) as Review
      reviews.push(review.request)
      const { uid, objects, desiredAPIVersion } = review.request
      const answer = {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'ConversionReview',
        response: tamper({
          uid,
          result: { status: 'Success' },
          convertedObjects: objects.map(object => converted(object, desiredAPIVersion)),
        }),
      }
      response.end(JSON.stringify(answer))
    })
  })
  await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve))
  const { port } = hook.address() as AddressInfo
  server = await startServer({ serviceResolver: { 'hook.default': `127.0.0.1:${port}` } })
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const now = new Date()
  const pki = await openPki(`${server.directory}/hook`, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: ['hook.default.svc'], now })
  hook.setSecureContext({ key: serving.key, cert: serving.certificate })
  caBundle = Buffer.from(pki.authority.certificate).toString('base64')
  await define()
})
after(async () => {
  client.close()
  hook.closeAllConnections()
  hook.close()
  await server.close()
})
beforeEach(() => {
  reviews = []
  admitted = []
  tamper = response => response
})

const send = (method: string, path: string, body?: JsonObject): Promise<ApiAnswer> =>
  client.send({
    method,
    path,
    ...(body === undefined ? {} : { body }),
    ...(method === 'PATCH' ? { headers: { 'content-type': 'application/merge-patch+json' } } : {}),
  })

const SCHEMA: JsonObject = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        size: { type: 'string' },
        centilitres: { type: 'integer' },
        colour: { type: 'string', default: 'white' },
      },
    },
  },
}

const versionsOf = (storage: string): JsonObject[] =>
  ['v1', 'v2'].map(name => ({
    name,
    served: true,
    storage: name === storage,
    schema: { openAPIV3Schema: { ...SCHEMA, description: name } },
    ...(name === 'v2' ? { selectableFields: [{ jsonPath: '.spec.centilitres' }] } : {}),
  }))

const conversionBy = (clientConfig: JsonObject): JsonObject => ({
  strategy: 'Webhook',
  webhook: { clientConfig, conversionReviewVersions: ['v1'] },
})

const service = (): JsonObject => ({
  service: { namespace: 'default', name: 'hook', path: '/convert' },
  caBundle,
})

async function define(): Promise<void> {
  const made = await send('POST', CRDS, {
    metadata: { name: `cups.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { plural: 'cups', kind: 'Cup' },
      versions: versionsOf('v1'),
      conversion: conversionBy(service()),
    },
  })
  assert.equal(made.status, 201, made.bytes.toString())
  await until(async () => (await send('GET', at('v2'))).status === 200)
}

/** The test runner's own limit ends a wait in vain. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 10))
}

const cup = (version: string, name: string, spec: JsonObject): JsonObject => ({
  apiVersion: `${GROUP}/${version}`,
  kind: 'Cup',
  metadata: { name },
  spec,
})

test('every verb speaks the version it is asked in', async () => {
  const made = await send('POST', at('v2'), cup('v2', 'verbs', { centilitres: 3 }))
  assert.equal(made.status, 201, made.bytes.toString())
  assert.equal(made.json().apiVersion, `${GROUP}/v2`)
  assert.deepEqual(made.json().spec, { centilitres: 3, colour: 'white' })
  assert.deepEqual((await send('GET', at('v1', 'verbs'))).json().spec, {
    size: '3cl',
    colour: 'white',
  })
  const patched = await send('PATCH', at('v2', 'verbs'), { spec: { centilitres: 4 } })
  assert.deepEqual(patched.json().spec, { centilitres: 4, colour: 'white' })
  assert.equal((patched.json().metadata as JsonObject).generation, 2)

  const live = (await send('GET', at('v2', 'verbs'))).json()
  const put = await send('PUT', at('v2', 'verbs'), { ...live, spec: { centilitres: 5 } })
  assert.deepEqual(put.json().spec, { centilitres: 5, colour: 'white' })
  assert.equal(((await send('GET', at('v1', 'verbs'))).json().spec as JsonObject).size, '5cl')
  const selected = await send('GET', `${at('v2')}?fieldSelector=spec.centilitres%3D5`)
  assert.equal((selected.json().items as JsonObject[]).length, 1)
  assert.equal((await send('DELETE', at('v2', 'verbs'))).status, 200)
})

test('an object version is converted once, a list in one review', async () => {
  for (const name of ['a', 'b', 'c']) await send('POST', at('v1'), cup('v1', name, { size: '1cl' }))
  assert.equal(reviews.length, 0)
  const first = await send('GET', at('v2'))
  assert.deepEqual(
    (first.json().items as JsonObject[]).map(({ apiVersion }) => apiVersion),
    Array(3).fill(`${GROUP}/v2`),
  )
  assert.deepEqual(
    reviews.map(({ objects }) => objects.length),
    [3],
  )
  await Promise.all([send('GET', at('v2')), send('GET', at('v2', 'a')), send('GET', at('v2'))])
  assert.equal(reviews.length, 1)
  await send('DELETE', at('v1'))
})

test('watches in both versions see the same events in order', async () => {
  const seen: Record<string, WatchedEvent[]> = { v1: [], v2: [] }
  const streams = await Promise.all(
    ['v1', 'v2', 'v2'].map((version, i) =>
      client.watch(
        { path: `${at(version)}?watch=true` },
        eventReader(event => {
          if (i < 2) seen[version]?.push(event)
        }),
      ),
    ),
  )
  await send('POST', at('v1'), cup('v1', 'seen', { size: '0cl' }))
  for (let i = 1; i <= 20; i += 1)
    await send('PATCH', at('v1', 'seen'), { spec: { size: `${i}cl` } })
  await send('DELETE', at('v1', 'seen'))
  await until(async () => seen.v1?.length === 22 && seen.v2?.length === 22)
  const shown = (version: string, field: string): unknown[] =>
    (seen[version] ?? []).map(({ type, object }) => [
      type,
      Number.parseInt(String((object.spec as JsonObject)[field]), 10),
      object.metadata.resourceVersion,
    ])
  assert.deepEqual(shown('v2', 'centilitres'), shown('v1', 'size'))
  // Two watchers, one conversion each.
  assert.equal(reviews.flatMap(({ objects }) => objects).length, 22)
  for (const stream of streams) stream.close()
})

test('a watch selects among converted objects', async () => {
  const seen: WatchedEvent[] = []
  const stream = await client.watch(
    { path: `${at('v2')}?watch=true&fieldSelector=spec.centilitres%3D5` },
    eventReader(event => seen.push(event)),
  )
  await send('POST', at('v1'), cup('v1', 'chosen', { size: '4cl' }))
  for (const size of ['5cl', '5cl ', '6cl', '5cl'])
    await send('PATCH', at('v1', 'chosen'), { spec: { size } })
  await send('DELETE', at('v1', 'chosen'))
  await until(async () => seen.length === 5)
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED'],
  )
  for (const { object } of seen) {
    assert.equal(object.apiVersion, `${GROUP}/v2`)
    assert.equal((object.spec as JsonObject).centilitres, 5)
  }
  stream.close()
})

test('a webhook may change labels and annotations, and no other metadata', async () => {
  await send('POST', at('v1'), cup('v1', 'meta', { size: '1cl' }))
  const answering = (change: (object: KubeObject) => KubeObject): void => {
    tamper = response => ({
      ...response,
      convertedObjects: (response.convertedObjects as KubeObject[]).map(change),
    })
  }
  const messageOf = async (): Promise<string> => {
    const answer = await send('GET', at('v2', 'meta'))
    assert.equal(answer.status, 500)
    return String(answer.json().message)
  }
  const subject = `conversion webhook for ${GROUP}/v1, Kind=Cup`
  answering(obj => ({ ...obj, metadata: { ...obj.metadata, name: 'other' } }))
  assert.equal(
    await messageOf(),
    `${subject} returned invalid object: must have the same name: meta != other`,
  )
  answering(obj => ({ ...obj, apiVersion: `${GROUP}/v1` }))
  assert.equal(
    await messageOf(),
    `${subject} returned invalid object at index 0: invalid groupVersion (expected ${GROUP}/v2, received ${GROUP}/v1)`,
  )
  answering(obj => ({ ...obj, metadata: { ...obj.metadata, labels: { 'not ok': 'x' } } }))
  assert.match(
    await messageOf(),
    /returned invalid metadata: metadata\.labels: Invalid value: "not/,
  )
  tamper = response => ({ ...response, convertedObjects: [] })
  assert.equal(await messageOf(), `${subject} returned 0 objects, expected 1`)
  tamper = response => ({ ...response, result: { status: 'Failure', message: 'no cups today' } })
  assert.equal(await messageOf(), `${subject} failed: no cups today`)
  tamper = response => ({ ...response, uid: 'x' })
  assert.match(await messageOf(), /failed: expected response\.uid="[0-9a-f-]{36}", got "x"$/)

  answering(obj => ({
    ...obj,
    metadata: { ...obj.metadata, labels: { added: 'yes' }, finalizers: ['example.com/x'] },
  }))
  const kept = (await send('GET', at('v2', 'meta'))).json().metadata as JsonObject
  assert.deepEqual(kept.labels, { added: 'yes' })
  assert.equal(kept.finalizers, undefined)
  tamper = response => response
  await send('DELETE', at('v1', 'meta'))
})

test('an admission webhook of another version sees the object converted, and its patch is converted back', async () => {
  const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'
  const { service: hooked } = service() as { service: JsonObject }
  const made = await send('POST', configurations, {
    metadata: { name: 'v2-only' },
    webhooks: [
      {
        name: 'v2.convert.example.com',
        clientConfig: { service: { ...hooked, path: '/admit' }, caBundle },
        rules: [
          { apiGroups: [GROUP], apiVersions: ['v2'], operations: ['CREATE'], resources: ['cups'] },
        ],
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  })
  assert.equal(made.status, 201, made.bytes.toString())
  const create = (name: string): Promise<ApiAnswer> =>
    send('POST', `${at('v1')}?dryRun=All`, {
      apiVersion: `${GROUP}/v1`,
      kind: 'Cup',
      metadata: { name },
      spec: { size: '5cl' },
    })
  let size: unknown
  await until(async () => {
    const answer = await create('admitted')
    assert.equal(answer.status, 201, answer.bytes.toString())
    size = (answer.json().spec as JsonObject).size
    return admitted.length > 0
  })
  assert.equal(size, '6cl')
  assert.equal(admitted[0], 'v2 {"colour":"white","centilitres":5}')
  await send('DELETE', `${configurations}/v2-only`)
})

test('while the webhook is down, its versions answer 500 and the stored one goes on', async () => {
  const broken = { url: 'https://127.0.0.1:1/convert' }
  await send('PATCH', CRD, { spec: { conversion: { ...conversionBy(broken) } } })
  await send('PATCH', CRD, {
    spec: { conversion: { webhook: { clientConfig: { ...broken, service: null } } } },
  })
  await send('POST', at('v1'), cup('v1', 'down', { size: '1cl' }))
  const words = `conversion webhook for ${GROUP}/v1, Kind=Cup failed: Post "https://127.0.0.1:1/convert?timeout=30s": dial tcp 127.0.0.1:1: connect: connection refused`
  for (const path of [at('v2', 'down'), at('v2')]) {
    await until(async () => (await send('GET', path)).status === 500)
    const answer = (await send('GET', path)).json()
    assert.deepEqual([answer.status, answer.code, answer.message], ['Failure', 500, words])
  }
  assert.equal((await send('GET', at('v1', 'down'))).status, 200)
  const events: WatchedEvent[] = []
  const stream = await client.watch(
    { path: `${at('v2')}?watch=true` },
    eventReader(event => events.push(event)),
  )
  await stream.ended
  assert.equal(events.at(-1)?.type, 'ERROR')
  assert.equal(events.at(-1)?.object.message, words)
  assert.equal((await send('DELETE', at('v1', 'down'))).status, 200)
  // Loops care for metadata only, so a namespace goes without the webhook.
  await send('POST', '/api/v1/namespaces', { metadata: { name: 'going' } })
  const elsewhere = at('v1').replace('/default/', '/going/')
  const held = cup('v1', 'held', { size: '1cl' })
  assert.equal((await send('POST', elsewhere, held)).status, 201)
  await send('DELETE', '/api/v1/namespaces/going')
  await until(async () => (await send('GET', '/api/v1/namespaces/going')).status === 404)

  const back = await send('PATCH', CRD, {
    spec: { conversion: { webhook: { clientConfig: { ...service(), url: null } } } },
  })
  assert.equal(back.status, 200, back.bytes.toString())
})

test('a new storage version is remembered, and objects move to it with their next write', async () => {
  await send('POST', at('v1'), cup('v1', 'moves', { size: '7cl' }))
  const moved = await send('PATCH', CRD, { spec: { versions: versionsOf('v2') } })
  assert.deepEqual((moved.json().status as JsonObject).storedVersions, ['v1', 'v2'])
  const key = `/registry/${GROUP}/cups/default/moves`
  const storedAs = (): string | undefined =>
    server.server.storage.cacher.get(key)?.header.apiVersion
  await until(async () => {
    const [resource] = server.server.registry.versionsOf(GROUP, 'cups')
    return resource?.storageVersion === 'v2'
  })
  assert.equal(storedAs(), `${GROUP}/v1`)
  const before = (await send('GET', at('v1', 'moves'))).json()
  const rewritten = await send('PUT', at('v1', 'moves'), before)
  assert.equal(rewritten.status, 200, rewritten.bytes.toString())
  assert.deepEqual(rewritten.json().spec, { size: '7cl', colour: 'white' })
  await until(async () => storedAs() === `${GROUP}/v2`)
  assert.equal((await send('DELETE', CRD)).status, 200)
  await until(async () => (await send('GET', CRD)).status === 404)
})
