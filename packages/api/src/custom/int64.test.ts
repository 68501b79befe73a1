// Integers beyond 2^53 from outside: every way in and every way out of a real server, digit for digit. Answers are
// compared as text, since a client that parses them into doubles would not see a difference.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type JsonObject, parseExact } from '@podless/apimachinery'
import { openPki, openServingCertificate } from '@podless/identity'
import { openEmbedded } from '@podless/storage'
import { ApiClient } from '../../../../test/harness/api-client.ts'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const CLOCKS = '/apis/int64.example.com/v1/clocks'
const REVISIONS = '/apis/apps/v1/namespaces/default/controllerrevisions'
const MERGE = 'application/merge-patch+json'
const APPLY = 'application/apply-patch+yaml'
const JSON_PATCH = 'application/json-patch+json'
const BIG = '9007199254740993'
const MAX = '9223372036854775807'

let folder: string
let hookPort: number
let server: TestServer
let client: ApiClient
let hook: Server
/** What the webhooks were sent. */
let asked: string[] = []

interface Sent {
  readonly status: number
  readonly text: string
}

async function send(method: string, path: string, body?: string, type?: string): Promise<Sent> {
  const { status, bytes } = await client.send({
    method,
    path,
    ...(body === undefined ? {} : { body }),
    ...(type === undefined ? {} : { headers: { 'content-type': type } }),
  })
  return { status, text: bytes.toString() }
}

/** Sends what must succeed and answers the text of `.spec`. */
async function specOf(method: string, path: string, body?: string, type?: string): Promise<string> {
  const { status, text } = await send(method, path, body, type)
  assert.ok(status < 300, text)
  return JSON.stringify((parseExact(text) as JsonObject).spec)
}

const INTEGER_RULE = `[{"rule":"self < ${MAX}","message":"too late"}]`
const SCHEMA = `{"type":"object","properties":{
  "spec":{"type":"object","properties":{
    "at":{"type":"integer","format":"int64","x-kubernetes-validations":${INTEGER_RULE}},
    "born":{"type":"integer","default":1700000000123456789},
    "one":{"type":"integer","enum":[${BIG},${MAX}]},
    "thirds":{"type":"integer","multipleOf":3},
    "any":{"x-kubernetes-preserve-unknown-fields":true},
    "ticks":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
      "items":{"type":"object","required":["id"],
        "properties":{"id":{"type":"integer"},"v":{"type":"string"}}}}}},
  "status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}`

const version = (
  name: string,
): string => `{"name":"${name}","served":true,"storage":${name === 'v1'},
  "subresources":{"status":{}},"schema":{"openAPIV3Schema":${SCHEMA}},
  "additionalPrinterColumns":[{"name":"At","type":"integer","jsonPath":".spec.at"}],
  "selectableFields":[{"jsonPath":".spec.at"}]}`

const clock = (name: string, spec: string): string =>
  `{"apiVersion":"int64.example.com/v1","kind":"Clock","metadata":{"name":"${name}"},"spec":${spec}}`

/** Converts by changing the version alone; admits with a patch that adds one. */
function answerOf(path: string, text: string): string {
  const { request } = parseExact(text) as { request: JsonObject }
  const uid = request.uid as string
  if (path.startsWith('/convert')) {
    const convertedObjects = (request.objects as JsonObject[]).map(object => ({
      ...object,
      apiVersion: request.desiredAPIVersion,
    }))
    const response = { uid, result: { status: 'Success' }, convertedObjects }
    const apiVersion = 'apiextensions.k8s.io/v1'
    return JSON.stringify({ apiVersion, kind: 'ConversionReview', response })
  }
  const patch = `[{"op":"test","path":"/spec/at","value":${BIG}},{"op":"add","path":"/spec/any","value":{"max":${MAX}}}]`
  const response = {
    uid,
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(patch).toString('base64'),
  }
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response })
}

before(async () => {
  hook = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    asked.push(text)
    response.setHeader('content-type', 'application/json')
    response.end(answerOf(request.url ?? '', text))
  })
  await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve))
  hookPort = (hook.address() as AddressInfo).port
  folder = await mkdtemp(join(tmpdir(), 'podless-int64-'))
  await start()
  const now = new Date()
  const pki = await openPki(`${server.directory}/hook`, { now, tokenAlgorithm: 'ES256' })
  const serving = await openServingCertificate(pki, { names: ['hook.default.svc'], now })
  hook.setSecureContext({ key: serving.key, cert: serving.certificate })
  await define(Buffer.from(pki.authority.certificate).toString('base64'))
})
after(async () => {
  client.close()
  hook.closeAllConnections()
  hook.close()
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

/** Starts a server over what the one before has stored. */
async function start(): Promise<void> {
  const backend = await openEmbedded({ directory: folder })
  const serviceResolver = { 'hook.default': `127.0.0.1:${hookPort}` }
  server = await startServer({ backend, serviceResolver })
  client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
}

async function define(caBundle: string): Promise<void> {
  const service = (path: string): string =>
    `{"service":{"namespace":"default","name":"hook","path":"${path}"},"caBundle":"${caBundle}"}`
  const made = await send(
    'POST',
    CRDS,
    `{"metadata":{"name":"clocks.int64.example.com"},"spec":{"group":"int64.example.com","scope":"Cluster",
      "names":{"plural":"clocks","kind":"Clock"},"versions":[${version('v1')},${version('v2')}],
      "conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],
        "clientConfig":${service('/convert')}}}}}`,
  )
  assert.equal(made.status, 201, made.text)
  assert.match(made.text, /"default":1700000000123456789/)
  while ((await send('GET', CLOCKS)).status !== 200) {
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  const webhooks = await send(
    'POST',
    '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
    `{"metadata":{"name":"clocks"},"webhooks":[{"name":"clocks.example.com","sideEffects":"None",
      "admissionReviewVersions":["v1"],"clientConfig":${service('/admit')},
      "objectSelector":{"matchLabels":{"admit":"yes"}},
      "rules":[{"apiGroups":["int64.example.com"],"apiVersions":["v1"],
        "operations":["CREATE"],"resources":["clocks"]}]}]}`,
  )
  assert.equal(webhooks.status, 201, webhooks.text)
}

test('an int64 comes back digit for digit from create, get, list, watch, Table and YAML', async () => {
  const spec = `{"at":${BIG},"any":[-9223372036854775808,${MAX},1.0,1e3],"born":1700000000123456789}`
  const kept = `{"at":${BIG},"any":[-9223372036854775808,${MAX},1,1000],"born":1700000000123456789}`
  const sent = spec.replace(',"born":1700000000123456789', '')
  assert.equal(await specOf('POST', `${CLOCKS}?dryRun=All`, clock('ways', sent)), kept)
  assert.equal(await specOf('POST', CLOCKS, clock('ways', sent)), kept)
  assert.equal(await specOf('GET', `${CLOCKS}/ways`), kept)
  const list = await send('GET', `${CLOCKS}?fieldSelector=spec.at%3D${BIG}`)
  assert.ok(list.text.includes(`"spec":${kept}`), list.text)
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  const table = await client.send({ path: `${CLOCKS}/ways`, headers })
  assert.match(table.bytes.toString(), /"cells":\["ways",9007199254740993\]/)
  const yaml = await client.send({
    path: `${CLOCKS}/ways`,
    headers: { accept: 'application/yaml' },
  })
  assert.match(yaml.bytes.toString(), /\n {2}at: 9007199254740993\n/)
  let seen = ''
  await new Promise<void>((resolve, reject) => {
    const opened = client.watch({ path: `${CLOCKS}?watch=1` }, bytes => {
      seen += bytes.toString()
      if (seen.includes(`"spec":${kept}`)) opened.then(stream => resolve(stream.close()), reject)
    })
    opened.catch(reject)
  })
})

test('YAML in keeps an int64', async () => {
  const text = clock('yaml', '').replace('"spec":', `"spec": {at: ${BIG}, any: 0x7fffffffffffffff}`)
  const spec = await specOf('POST', CLOCKS, text, 'application/yaml')
  assert.equal(spec, `{"any":${MAX},"at":${BIG},"born":1700000000123456789}`)
})

test('integers beyond int64 are floats, and none is too large for one', async () => {
  const body = clock('float', '{"any":[9223372036854775808,18446744073709551615,1e20,1e21,1e400]}')
  const refused = await send('POST', CLOCKS, body)
  assert.equal(refused.status, 400)
  assert.match(refused.text, /json: cannot unmarshal number 1e400 into Go value of type float64/)
  const spec = await specOf('POST', CLOCKS, body.replace(',1e400', ''))
  assert.match(spec, /\[9223372036854776000,18446744073709552000,100000000000000000000,1e\+21\]/)
})

test('patches of every sort read and write an int64', async () => {
  const path = `${CLOCKS}/patched`
  await specOf('POST', CLOCKS, clock('patched', `{"at":${BIG}}`))
  const near = `[{"op":"test","path":"/spec/at","value":9007199254740992}]`
  assert.equal((await send('PATCH', path, near, JSON_PATCH)).status, 422)
  const operations = `[{"op":"test","path":"/spec/at","value":${BIG}},{"op":"copy","from":"/spec/at","path":"/spec/any"}]`
  assert.match(await specOf('PATCH', path, operations, JSON_PATCH), /"any":9007199254740993/)
  const merged = await specOf('PATCH', path, '{"spec":{"any":-9007199254740995}}', MERGE)
  assert.match(merged, /"any":-9007199254740995/)
  const status = await send('PATCH', `${path}/status`, `{"status":{"now":${MAX}}}`, MERGE)
  assert.match(status.text, /"status":\{"now":9223372036854775807\}/)
  const infinite = await send('PATCH', path, '{"spec":{"any":1e400}}', MERGE)
  assert.match(infinite.text, /error decoding patch: json: cannot unmarshal number 1e400/)
})

test('an apply that changes nothing stays one, and its neighbour is a conflict', async () => {
  const applied = clock('applied', `{"at":${BIG},"ticks":[{"id":${BIG},"v":"a"}]}`)
  const apply = (manager: string, body: string): Promise<Sent> =>
    send('PATCH', `${CLOCKS}/applied?fieldManager=${manager}`, body, APPLY)
  const first = await apply('one', applied)
  assert.equal(first.status, 201, first.text)
  assert.ok(first.text.includes(`k:{\\"id\\":${BIG}}`), first.text)
  assert.equal((await apply('one', applied)).text, first.text)
  const other = await apply('two', applied.replaceAll(BIG, '9007199254740992'))
  assert.equal(other.status, 409)
  assert.match(other.text, /conflict with \\"one\\": \.spec\.at"/)
})

test('schemas and rules see the int64 itself', async () => {
  const refusals = [
    [`{"at":${MAX}}`, `Invalid value: ${MAX}: too late`],
    ['{"at":9223372036854775808}', 'spec.at in body must be of type int64'],
    ['{"one":9007199254740992}', 'Unsupported value: 9007199254740992'],
    ['{"thirds":9223372036854775807}', `Invalid value: ${MAX}: spec.thirds in body should be a`],
    [`{"ticks":[{"id":${BIG}},{"id":${BIG}}]}`, `Duplicate value: {"id":${BIG}}`],
  ]
  for (const [spec = '', why = ''] of refusals) {
    const { status, text } = await send('POST', CLOCKS, clock('refused', spec))
    assert.equal(status, 422, text)
    assert.ok((JSON.parse(text) as { message: string }).message.includes(why), text)
  }
  const ticks = `[{"id":${BIG}},{"id":9007199254740992}]`
  const spec = `{"at":9223372036854775806,"one":${MAX},"thirds":9223372036854775806,"ticks":${ticks}`
  assert.ok((await specOf('POST', CLOCKS, clock('allowed', `${spec}}`))).startsWith(spec))
})

test('webhooks get an int64, and what they answer is kept', async () => {
  asked = []
  const body = clock('asked', `{"at":${BIG}}`).replace(
    '{"name"',
    '{"labels":{"admit":"yes"},"name"',
  )
  const made = await specOf('POST', CLOCKS, body)
  assert.equal(made, `{"at":${BIG},"born":1700000000123456789,"any":{"max":${MAX}}}`)
  assert.match(asked.join(), /"at":9007199254740993/)
  asked = []
  assert.equal(await specOf('GET', `${CLOCKS}/asked`.replace('v1', 'v2')), made)
  assert.match(asked.join(), /"max":9223372036854775807/)
})

test('what a policy makes of an int64 is one', async () => {
  const policies = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies'
  const expression = `Object{spec: Object.spec{one: object.spec.at, thirds: ${MAX} - 1}}`
  const made = await send(
    'POST',
    policies,
    `{"metadata":{"name":"clocks"},"spec":{"reinvocationPolicy":"Never","matchConstraints":{
      "objectSelector":{"matchLabels":{"mutate":"yes"}},"resourceRules":[{"operations":["CREATE"],
        "apiGroups":["int64.example.com"],"apiVersions":["*"],"resources":["clocks"]}]},
      "mutations":[{"patchType":"ApplyConfiguration",
        "applyConfiguration":{"expression":"${expression}"}}]}}`,
  )
  assert.equal(made.status, 201, made.text)
  const bound = await send(
    'POST',
    policies.replace('policies', 'policybindings'),
    '{"metadata":{"name":"clocks"},"spec":{"policyName":"clocks"}}',
  )
  assert.equal(bound.status, 201, bound.text)
  const labels = '{"labels":{"mutate":"yes"},"name"'
  const body = clock('mutated', `{"at":${BIG}}`).replace('{"name"', labels)
  const spec = await specOf('POST', CLOCKS, body)
  assert.match(spec, /"one":9007199254740993,"thirds":9223372036854775806/)
})

test('built-in int64 fields keep theirs in JSON and protobuf, and refuse what is none', async () => {
  const revision = (value: string): string =>
    `{"metadata":{"name":"r"},"data":{},"revision":${value}}`
  const head =
    'ControllerRevision in version \\"v1\\" cannot be handled as a ControllerRevision: json:'
  for (const value of ['9223372036854775808', '1.0', '1e3', '1E400']) {
    const refused = await send('POST', REVISIONS, revision(value))
    const why = `cannot unmarshal number ${value} into Go struct field ControllerRevision.revision of type int64`
    assert.ok(refused.text.includes(`${head} ${why}`), refused.text)
  }
  const made = await send('POST', REVISIONS, revision(BIG))
  assert.match(made.text, /"revision":9007199254740993/)
  const protobuf = 'application/vnd.kubernetes.protobuf'
  const got = await client.send({ path: `${REVISIONS}/r`, headers: { accept: protobuf } })
  const put = await client.send({
    method: 'PUT',
    path: `${REVISIONS}/r`,
    body: got.bytes,
    headers: { 'content-type': protobuf },
  })
  assert.match(put.bytes.toString(), /"revision":9007199254740993/)
  const strategic = 'application/strategic-merge-patch+json'
  const patched = await send('PATCH', `${REVISIONS}/r`, `{"revision":${MAX}}`, strategic)
  assert.match(patched.text, /"revision":9223372036854775807/)
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  const table = await client.send({ path: `${REVISIONS}/r`, headers })
  assert.match(table.bytes.toString(), /"cells":\["r","<none>",9223372036854775807,/)
  const event =
    '{"metadata":{"name":"e"},"involvedObject":{"namespace":"default"},"count":2147483648}'
  const counted = await send('POST', '/api/v1/namespaces/default/events', event)
  assert.match(counted.text, /number 2147483648 into Go struct field Event.count of type int32/)
})

test('what is wrong with an int64 of a built-in is said of the number that was sent', async () => {
  const pod = (spec: string): string => `{"metadata":{"name":"p"},"spec":{${spec}}}`
  const refusals = [
    [`"activeDeadlineSeconds":${BIG}`, 'spec.activeDeadlineSeconds'],
    ['"securityContext":{"runAsUser":-9223372036854775808}', 'spec.securityContext.runAsUser'],
  ]
  for (const [spec = '', field] of refusals) {
    const { text } = await send('POST', '/api/v1/namespaces/default/pods', pod(spec))
    const value = /-?\d{16,}/.exec(spec)?.[0]
    assert.ok(text.includes(`${field}: Invalid value: ${value}: must be between`), text)
  }
})

test('a generation beyond 2^53 is kept, and goes on from there', async () => {
  const maps = '/api/v1/namespaces/default/configmaps'
  const finalizers = '"finalizers":["example.com/wait"]'
  const made = `{"metadata":{"name":"old","generation":${BIG},${finalizers}}}`
  assert.match((await send('POST', maps, made)).text, /"generation":9007199254740993/)
  const marked = await send('DELETE', `${maps}/old`)
  assert.match(marked.text, /"generation":9007199254740994/)
})

test('a restarted server finds every int64 in its store', async () => {
  const made = await specOf('POST', CLOCKS, clock('stored', `{"at":${BIG}}`))
  client.close()
  await server.close()
  await start()
  while ((await send('GET', CLOCKS)).status !== 200) {
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  assert.equal(await specOf('GET', `${CLOCKS}/stored`), made)
  const patched = await specOf('PATCH', `${CLOCKS}/stored`, '{"spec":{"any":1}}', MERGE)
  assert.equal(patched, `${made.slice(0, -1)},"any":1}`)
})
