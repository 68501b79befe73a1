// The edge as clients meet it: HTTP/1.1, HTTP/2 and WebSocket on one port, every page over both, refusals that never
// end the process.

import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { BlockList } from 'node:net'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { startServer, type TestServer } from '../../../../test/harness/server.ts'

let server: TestServer

before(async () => {
  server = await startServer()
})
after(async () => await server.close())

interface Answer {
  readonly code: number
  readonly type: string
  readonly text: string
}

function overHttp1(
  path: string,
  options: {
    method?: string
    body?: string
    headers?: Record<string, string>
    anonymous?: boolean
  } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const credentials =
    options.anonymous === true ? {} : { cert: server.admin.certificate, key: server.admin.key }
  const sent = httpsRequest(
    new URL(path, server.url),
    {
      ...credentials,
      ca: server.ca,
      agent: false,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
    },
    response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          code: response.statusCode ?? 0,
          type: String(response.headers['content-type']),
          text: Buffer.concat(chunks).toString(),
        }),
      )
    },
  )
  sent.on('error', reject)
  // Beside a text, Node would write the head as UTF-8, too.
  sent.end(Buffer.from(options.body ?? ''))
  return promise
}

async function overHttp2(path: string): Promise<Answer> {
  const session = connect(server.url, {
    ca: server.ca,
    cert: server.admin.certificate,
    key: server.admin.key,
  })
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const stream = session.request({ ':path': path })
    let code = 0
    let type = ''
    let text = ''
    stream.setEncoding('utf8')
    stream.on('response', headers => {
      code = Number(headers[':status'])
      type = String(headers['content-type'])
    })
    stream.on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('end', () => resolve({ code, type, text }))
    stream.on('error', reject)
    session.on('error', reject)
    stream.end()
    return await promise
  } finally {
    session.close()
  }
}

test('every page answers the same over HTTP/1.1 and HTTP/2', async () => {
  const { paths } = JSON.parse((await overHttp1('/')).text) as { paths: string[] }
  assert.ok(paths.includes('/readyz') && paths.includes('/apis/apps/v1'))
  for (const path of paths) {
    if (path === '/metrics') continue
    const [one, two] = [await overHttp1(path), await overHttp2(path)]
    assert.equal(one.code, 200, path)
    assert.deepEqual(two, one, path)
  }
})

test('a path that nothing serves is 404, a method that a page does not take 405', async () => {
  assert.deepEqual(await overHttp1('/nope'), {
    code: 404,
    type: 'text/plain; charset=utf-8',
    text: '404 page not found\n',
  })
  assert.equal((await overHttp1('/version', { method: 'POST' })).code, 405)
})

test('the range of the kubernetes Service is told as a ServiceCIDR that is ready', async () => {
  const { code, text } = await overHttp1('/apis/networking.k8s.io/v1/servicecidrs/kubernetes')
  assert.equal(code, 200)
  const { spec, status } = JSON.parse(text)
  const service = await overHttp1('/api/v1/namespaces/default/services/kubernetes')
  const range = new BlockList()
  const [address, bits] = spec.cidrs[0].split('/')
  range.addSubnet(address, Number(bits))
  assert.ok(range.check(JSON.parse(service.text).spec.clusterIP))
  assert.partialDeepStrictEqual(status.conditions, [{ type: 'Ready', status: 'True' }])
})

test('readyz?verbose lists each check, and one check has a page', async () => {
  const { text } = await overHttp1('/readyz?verbose')
  assert.match(text, /^\[\+\]ping ok\n/)
  assert.match(text, /readyz check passed\n$/)
  assert.equal((await overHttp1('/readyz/ping')).text, 'ok')
})

test('an anonymous client sees health and version, and 403 elsewhere', async () => {
  assert.equal((await overHttp1('/readyz', { anonymous: true })).code, 200)
  assert.equal((await overHttp1('/version', { anonymous: true })).code, 200)
  const { code, text } = await overHttp1('/api/v1/namespaces', { anonymous: true })
  assert.equal(code, 403)
  assert.match(
    text,
    /namespaces is forbidden: User \\"system:anonymous\\" cannot list resource \\"namespaces\\" in API group \\"\\" at the cluster scope/,
  )
})

test('a bearer token that is none of ours is 401', async () => {
  const { code, text } = await overHttp1('/api/v1/namespaces', {
    anonymous: true,
    headers: { authorization: 'Bearer x.y.z' },
  })
  assert.equal(code, 401)
  assert.equal(JSON.parse(text).reason, 'Unauthorized')
})

test('a body over 3 MiB is 413, truncated JSON 400, an unknown media type 415, and nothing is stored', async () => {
  const path = '/api/v1/namespaces/default/configmaps'
  const json = { 'content-type': 'application/json' }
  const post = (body: string, headers: Record<string, string>): Promise<Answer> =>
    overHttp1(path, { method: 'POST', body, headers })
  assert.equal((await post('x'.repeat(4 * 1024 * 1024), json)).code, 413)
  assert.equal((await post('{"metadata":', json)).code, 400)
  assert.equal((await post(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, json)).code, 400)
  assert.equal((await post('a,b', { 'content-type': 'text/csv' })).code, 415)
  assert.equal((await overHttp1(path, { headers: { accept: 'text/csv' } })).code, 406)
  const { items } = JSON.parse((await overHttp1(path)).text) as {
    items: { metadata: { name: string } }[]
  }
  assert.deepEqual(
    items.map(item => item.metadata.name),
    ['kube-root-ca.crt'],
  )
})

test('a watch over WebSocket sends one event a message', async () => {
  const url = `${server.url.replace('https', 'wss')}/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0`
  const socket = new WebSocket(url, {
    ca: server.ca,
    cert: server.admin.certificate,
    key: server.admin.key,
  })
  const { promise, resolve, reject } = Promise.withResolvers<{
    type: string
    object: { metadata: { name: string } }
  }>()
  socket.on('message', data => resolve(JSON.parse(String(data))))
  socket.on('error', reject)
  const event = await promise
  socket.close()
  assert.equal(event.type, 'ADDED')
  assert.equal(event.object.metadata.name, 'kube-root-ca.crt')
})

test('an upgrade that is no watch gets an ordinary answer', async () => {
  const { code, text } = await overHttp1('/api/v1/namespaces/default/pods/none/exec?command=ls', {
    method: 'POST',
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
  })
  assert.equal(code, 404)
  assert.match(text, /pods \\"none\\" not found/)
})

test('a user to impersonate may have a name in any script', async () => {
  const name = 'jürgen-愛'
  const headers = {
    'content-type': 'application/json',
    // The bytes of UTF-8, as the head is written as Latin-1.
    'impersonate-user': Buffer.from(name).toString('latin1'),
  }
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const { text } = await overHttp1(path, { method: 'POST', body: '{}', headers })
  const { status } = JSON.parse(text) as { status: { userInfo: { username: string } } }
  assert.equal(status.userInfo.username, name)
})
